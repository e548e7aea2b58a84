"""Writes docs/settings.md, every setting of khung as khung/settings has it. `--check`: say whether the page is as it should be.

.venv/bin/python scripts/settings_page.py [--check]
"""

import sys
import typing
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from khung import settings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
CLASSES = (
    settings.Settings, settings.StoreSettings, settings.ServeSettings, settings.SearchSettings, settings.ContestSettings,
    settings.MediaLimits, settings.ExtractionSettings, settings.EmbedderSettings, settings.DescriberSettings, settings.EncoderSettings,
)  # fmt: skip
HEAD = """# Every setting

Environment variables, or lines of a `.env` file in the folder where khung is called. Lists are JSON: `["http://a", "http://b"]`.
`scripts/settings_page.py` writes this page from `khung/settings/`, and a test holds it to that. How they are used: [pipeline](how-to/pipeline.md),
[operating](how-to/operate.md), [serving](how-to/serve.md), [models](how-to/models.md), [on a GPU](how-to/gpu.md), [evaluating](how-to/evaluate.md),
[contests](how-to/contest.md).
"""


def page() -> str:
    return "\n".join([HEAD, *map(section, CLASSES)])


def section(cls: type[BaseSettings]) -> str:
    prefix = cls.model_config["env_prefix"]
    rows = [row(f"{prefix}{name.upper()}", field) for name, field in cls.model_fields.items() if not nested(field)]
    said = " ".join((cls.__doc__ or "").split())
    return "\n".join([f"## `{prefix}…`", "", said, "", "| setting | default | |", "|---|---|---|", *rows, ""])


def row(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise SystemExit(f"{name} has no description.")
    return f"| `{name}` | {default(name, field)} | {kind(field)}{field.description.replace('|', chr(92) + '|')} |"


def default(name: str, field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr) or value in (None, "", ()):
        return "–"
    if name.endswith("_BYTES"):
        return f"{value / 2**30:g} GiB" if value >= 2**30 else f"{value / 2**20:g} MiB"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def kind(field: FieldInfo) -> str:
    """The words that may stand there, if they are a closed list."""
    if typing.get_origin(field.annotation) is not typing.Literal:
        return ""
    return ", ".join(f"`{word}`" for word in typing.get_args(field.annotation) if word) + ": "


def nested(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseSettings)


def main(arguments: list[str]) -> int:
    made = page()
    if "--check" not in arguments:
        PAGE.write_text(made, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != made:
        print(f"{PAGE} is not what khung/settings says: run scripts/settings_page.py.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
