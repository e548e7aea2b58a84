"""The one place that turns settings into models: which Embedder, Describer and TextReader run.

A profile is a choice of names; each can be set by itself. How the chosen ones are put together is in `embedded.py` and `large.py`,
which are imported only when one of theirs is chosen.
"""

from dataclasses import dataclass

from khung.errors import ConfigError
from khung.settings import Settings
from khung.vision import Describer, Embedder, TextReader
from khung.vision.fallback import Deferred


@dataclass(frozen=True, slots=True)
class Vision:
    """What looks at frames."""

    embedder: Embedder
    describer: Describer
    reader: TextReader


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Of the models that these settings choose."""

    embedder: str
    describer: str
    reader: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Names of models. `fallback` is the embedder for frames that the first one fails on; "" = none."""

    embedder: str
    describer: str
    reader: str
    fallback: str = ""


EMBEDDED_EMBEDDER, EMBEDDED_DESCRIBER, EMBEDDED_READER = "conse", "composed", "screen-text"
READ_BY_DESCRIBER, READ_BY_BOTH, NONE = "describer", "both", "none"

PROFILES = {
    "embedded": Choice(EMBEDDED_EMBEDDER, EMBEDDED_DESCRIBER, EMBEDDED_READER),
    "cpu": Choice("siglip2-base", EMBEDDED_DESCRIBER, EMBEDDED_READER),
    "gpu": Choice("gme-2b", "qwen3-vl-4b", READ_BY_BOTH, fallback="siglip2-base"),
}


def choice(settings: Settings) -> Choice:
    """The profile's names, those that are set by themselves in their place. Raises ConfigError."""
    profile = PROFILES[settings.profile]
    describer = settings.describer.name or profile.describer
    reader = profile.reader if describer != EMBEDDED_DESCRIBER else EMBEDDED_READER
    chosen = Choice(
        settings.embedder.name or profile.embedder,
        describer,
        settings.reader_name or reader,
        settings.fallback_name or profile.fallback,
    )
    if chosen.reader not in (EMBEDDED_READER, READ_BY_DESCRIBER, READ_BY_BOTH):
        cure = f"Set KHUNG_READER_NAME to {EMBEDDED_READER}, {READ_BY_DESCRIBER} or {READ_BY_BOTH}."
        raise ConfigError(f"There is no reader “{chosen.reader}”.", cure=cure)
    if chosen.reader != EMBEDDED_READER and chosen.describer == EMBEDDED_DESCRIBER:
        raise ConfigError("The composed describer reads no text.", cure=f"Set KHUNG_READER_NAME to {EMBEDDED_READER}.")
    return chosen


def fingerprints(settings: Settings) -> Fingerprints:
    """What `load_vision(settings)` would carry, without loading a model or needing its files: for staleness and manifests."""
    chosen = choice(settings)
    describer = _describer_fingerprint(settings, chosen)
    return Fingerprints(_embedder_fingerprint(settings, chosen), describer, _reader_fingerprint(chosen, describer))


def load_vision(settings: Settings) -> Vision:
    """All three, sharing what they can. Raises ModelFileMissing, ModelError, ConfigError, each with the cure."""
    return _Loader(settings).vision()


def load_embedder(settings: Settings) -> Embedder:
    """The Embedder alone, for the query side too: it is the one whose vectors the kitchen makes by the same settings."""
    return _Loader(settings).embedder()


def load_describer(settings: Settings) -> Describer:
    """The Describer alone."""
    return _Loader(settings).describer()


def load_reader(settings: Settings) -> TextReader:
    """The TextReader alone."""
    return _Loader(settings).reader()


def load_fallback(settings: Settings) -> Embedder | None:
    """The Embedder of a *second* vector space, for frames that the first one failed on; None when there is none (nobody stands
    in for himself). It is loaded when it is first asked."""
    name, embedder = choice(settings).fallback, choice(settings).embedder
    if name in ("", NONE, embedder):
        return None
    if name == EMBEDDED_EMBEDDER:
        from khung.vision import embedded

        return Deferred(
            embedded.embedder_fingerprint(settings.embedded_precision), lambda: _Loader(settings).embedded.embedder
        )
    from khung.vision import large

    held = settings.embedder.model_copy(update={"folder": None, "quantisation": "none", "dim": 0, "run_in": "here"})
    return Deferred(large.embedder_fingerprint(settings, name, held), lambda: large.embedder(settings, name, held))


class _Loader:
    """Loads by name; the embedded models share theirs."""

    def __init__(self, settings: Settings) -> None:
        from khung.vision.embedded import Embedded

        self._settings, self._chosen = settings, choice(settings)
        self.embedded = Embedded(settings.models_path, settings.embedded_precision)

    def vision(self) -> Vision:
        return Vision(self.embedder(), self.describer(), self.reader())

    def embedder(self) -> Embedder:
        if self._chosen.embedder == EMBEDDED_EMBEDDER:
            return self.embedded.embedder
        from khung.vision import large

        return large.embedder(self._settings, self._chosen.embedder, self._settings.embedder)

    def describer(self) -> Describer:
        if self._chosen.describer == EMBEDDED_DESCRIBER:
            return self.embedded.describer
        from khung.vision import large

        return large.describer(self._settings, self._chosen.describer)

    def reader(self) -> TextReader:
        if self._chosen.reader == EMBEDDED_READER:
            return self.embedded.reader
        from khung.vision import large
        from khung.vision.merged_reader import MergedReader
        from khung.vision.speaking import SpokenReader

        describer = large.describer(self._settings, self._chosen.describer)
        if self._chosen.reader == READ_BY_BOTH:
            return MergedReader(self.embedded.reader, describer)
        return SpokenReader(describer)


def _embedder_fingerprint(settings: Settings, chosen: Choice) -> str:
    if chosen.embedder == EMBEDDED_EMBEDDER:
        from khung.vision import embedded

        return embedded.embedder_fingerprint(settings.embedded_precision)
    from khung.vision import large

    return large.embedder_fingerprint(settings, chosen.embedder, settings.embedder)


def _describer_fingerprint(settings: Settings, chosen: Choice) -> str:
    if chosen.describer == EMBEDDED_DESCRIBER:
        from khung.vision import embedded

        return embedded.describer_fingerprint(settings.embedded_precision)
    from khung.vision import large

    return large.describer_fingerprint(settings, chosen.describer)


def _reader_fingerprint(chosen: Choice, describer: str) -> str:
    from khung.vision import embedded, merged_reader
    from khung.vision.speaking import spoken_fingerprint

    if chosen.reader == EMBEDDED_READER:
        return embedded.reader_fingerprint()
    spoken = spoken_fingerprint(describer)
    if chosen.reader == READ_BY_BOTH:
        return merged_reader.fingerprint_of(embedded.reader_fingerprint(), spoken)
    return spoken
