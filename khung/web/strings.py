"""The words of the interface in its two languages, from one catalogue: strings.json."""

import json
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("vi", "en")


@lru_cache(maxsize=1)
def catalogue() -> dict[str, dict[str, str]]:
    """key → language → text with `{placeholders}`."""
    return json.loads((Path(__file__).parent / "strings.json").read_text("utf-8"))


class Words:
    """The catalogue in one language: `words("results_count", frames=3, videos=2)`. An unknown key is a KeyError."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        return catalogue()[key][self.language].format(**values)

    def maybe(self, key: str, default: str) -> str:
        """For keys that come from data (a facet's name): the default when the catalogue has none."""
        return catalogue().get(key, {}).get(self.language, default)

    def all(self) -> dict[str, str]:
        """Every text in this language, for the scripts."""
        return {key: texts[self.language] for key, texts in catalogue().items()}


def choose_language(asked: str | None, remembered: str | None, accept_language: str) -> str:
    """The address's wish, then the cookie's, then the browser's first known language, then Vietnamese."""
    for wish in (asked, remembered):
        if wish in LANGUAGES:
            return wish
    spoken = [part.split(";")[0].strip()[:2].lower() for part in accept_language.split(",")]
    return next((language for language in spoken if language in LANGUAGES), "vi")
