"""The how-to says what is: its Python runs, its settings and warnings exist."""

import io
import re
import zipfile
from pathlib import Path

import pytest

from khung.contest import review, submission
from khung.settings import ContestSettings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "contest.md").read_text(encoding="utf-8")


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "contest.md", "exec"), {})
    with zipfile.ZipFile(io.BytesIO((tmp_path / "submission.zip").read_bytes())) as archive:
        shown = dict(re.findall(r"^(query-\S+\.csv) +(.+)$", PAGE, re.MULTILINE))
        for name, first_row in shown.items():
            assert archive.read(f"submission/{name}").decode().splitlines()[0] == first_row


def test_its_settings_exist() -> None:
    named = set(re.findall(r"KHUNG_CONTEST_([A-Z_]+)=", PAGE))
    assert named == {name.upper() for name in ContestSettings.model_fields}


def test_it_explains_every_warning() -> None:
    code = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (review, submission))
    codes = set(re.findall(r'Notice\(\s*"(\w+)"', code))
    assert len(codes) == 9
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()
