"""The words of the interface in its two languages, from one catalogue: strings.json.

What khung says of errors is English where it arises; told.vi.json says it in Vietnamese, by the code or the kind of the problem.
"""

import json
import string
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("vi", "en")


@lru_cache(maxsize=1)
def catalogue() -> dict[str, dict[str, str]]:
    """key → language → text with `{placeholders}`."""
    return json.loads((Path(__file__).parent / "strings.json").read_text("utf-8"))


@lru_cache(maxsize=1)
def told() -> dict[str, str]:
    """code of an error, or `kind_` and the kind of its problem → the Vietnamese text with `{placeholders}`."""
    return json.loads((Path(__file__).parent / "told.vi.json").read_text("utf-8"))


class _Formatter(string.Formatter):
    """`{n:frame|frames}` is “1 frame”, “2 frames”; static/words.js does the same."""

    def format_field(self, value: object, format_spec: str) -> str:
        one, counts, many = format_spec.partition("|")
        return f"{value} {one if value == 1 else many}" if counts else super().format_field(value, format_spec)


_FORMATTER = _Formatter()


class Words:
    """The catalogue in one language: `words("results_count", frames=3, videos=2)`. An unknown key is a KeyError."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        return _FORMATTER.format(catalogue()[key][self.language], **values)

    def maybe(self, key: str, default: str) -> str:
        """For keys that come from data (a facet's name): the default when the catalogue has none."""
        return catalogue().get(key, {}).get(self.language, default)

    def told(self, code: str, kind: str, values: dict[str, str], otherwise: str) -> str:
        """What an error says, in this language: by its code, else by its kind; `otherwise` is what it says in English."""
        if code.startswith("field_"):
            part = values["where"]
            return self(code, **values | {"where": self.maybe(f"part_{part}", part)})
        if self.language == "en":
            return otherwise
        reason = self.maybe(code, "") if code.startswith("reason_") else ""
        text = told().get(code) or reason or told().get(f"kind_{kind}")
        return text.format(**values).strip() if text else otherwise

    def all(self) -> dict[str, str]:
        """Every text in this language, for the scripts."""
        said = {f"told_{key}": text for key, text in told().items()} if self.language == "vi" else {}
        return {key: texts[self.language] for key, texts in catalogue().items()} | said


def choose_language(asked: str | None, remembered: str | None, accept_language: str) -> str:
    """The address's wish, then the cookie's, then the browser's first known language, then Vietnamese."""
    for wish in (asked, remembered):
        if wish in LANGUAGES:
            return wish
    spoken = [part.split(";")[0].strip()[:2].lower() for part in accept_language.split(",")]
    return next((language for language in spoken if language in LANGUAGES), "vi")
