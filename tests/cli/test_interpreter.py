"""Which Python the environment is made with: the first on the path that is a quick build and can, or else the first."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from khung.cli import doctor
from khung.cli.interpreter import is_optimised
from khung.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("built_with", "prefix", "quick"),
    [
        ("'--prefix=/root/.pyenv/versions/3.11.7' '--enable-shared'", "/root/.pyenv/versions/3.11.7", False),
        ("'--enable-optimizations' '--with-lto'", "/usr/local", True),
        ("'--enable-shared' '--prefix=/usr'", "/usr", True),  # Debian's, which does not tell
        (None, r"C:\Python311", True),
    ],
)
def test_what_a_python_tells_of_its_build(monkeypatch, built_with, prefix, quick):
    monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": built_with}.__getitem__)
    monkeypatch.setattr(sys, "base_prefix", prefix)
    assert is_optimised() is quick


def _python(folder: Path, name: str, *, runs: bool = True, quick: bool = True) -> Path:
    """This Python under another name, with what it is asked about its build answered for it."""
    path = folder / name
    folder.mkdir(exist_ok=True)
    asked = f'case "$*" in *interpreter.py) exit {int(not quick)};; esac'
    path.write_text(f'#!/bin/sh\n{asked}\nexec {sys.executable} "$@"\n' if runs else "#!/bin/sh\nexit 127\n")
    path.chmod(0o755)
    return path


def _chosen(*folders: Path) -> str:
    path = os.pathsep.join(map(str, folders)) + os.pathsep + _tools(folders[0].parent)
    command = ["/bin/bash", ROOT / "scripts/python.sh"]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True).stdout.strip()


def _tools(folder: Path) -> str:
    """What the script calls, and no other Python."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "dirname").symlink_to("/usr/bin/dirname")
    return str(tools)


def test_a_quick_build_is_chosen_before_others(tmp_path):
    _python(tmp_path / "slow", "python3.11", quick=False)
    quick = _python(tmp_path / "quick", "python3.11")
    _python(tmp_path / "quick", "python3")
    assert _chosen(tmp_path / "slow", tmp_path / "quick") == str(quick)


def test_what_does_not_run_is_passed_over(tmp_path):
    _python(tmp_path / "broken", "python3.11", runs=False)
    good = _python(tmp_path / "good", "python3")
    assert _chosen(tmp_path / "broken", tmp_path / "good") == str(good)


def test_the_first_is_taken_where_none_is_quick(tmp_path):
    slow = _python(tmp_path / "slow", "python3.11", quick=False)
    _python(tmp_path / "other", "python3", quick=False)
    assert _chosen(tmp_path / "slow", tmp_path / "other") == str(slow)


def test_without_any_the_usual_name_is_told(tmp_path):
    (tmp_path / "none").mkdir()
    assert _chosen(tmp_path / "none") == "python3"


@pytest.mark.parametrize(("quick", "state"), [(True, "ok"), (False, "note")])
def test_the_doctor_names_a_slow_build(monkeypatch, quick, state):
    monkeypatch.setattr(doctor, "is_optimised", lambda: quick)
    (finding,) = doctor.look_at_python(Settings())
    assert finding.state == state and bool(finding.cure) is not quick
