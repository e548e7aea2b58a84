"""The query encoders of a process: asked for by the fingerprint of the vectors, loaded once, their answers remembered.

Which model a fingerprint means is `khung.vision.encoders`; here is how long one is kept. A snapshot with another fingerprint gets
another encoder, whatever the settings would choose for new vectors.
"""

import logging
import threading
from collections.abc import Collection, Iterable

from khung.errors import KhungError, ModelError
from khung.search.caching import CachedEmbedder
from khung.settings import Settings
from khung.vision import Embedder
from khung.vision.encoders import load_encoder

log = logging.getLogger("khung.search")


class QueryEncoders:
    """Thread-safe. `given` are models that are loaded already, such as a kitchen's own embedder; of others at most `most` are
    held, the ones that were loaded last."""

    def __init__(self, settings: Settings, given: Iterable[Embedder] = (), *, most: int | None = None) -> None:
        self.settings, self._most = settings, most
        self._given = {one.fingerprint: one for one in given}
        self._held: dict[str, CachedEmbedder] = {}
        self._loading = threading.Lock()

    def of(self, fingerprint: str) -> Embedder:
        """The encoder that can ask those vectors. Raises VectorSpaceMismatch when none can, and ModelError or ConfigError when
        it cannot be loaded; each names the cure."""
        with self._loading:
            if fingerprint not in self._held:
                while self._most and len(self._held) >= self._most:
                    self._held.pop(next(iter(self._held)))
                self._held[fingerprint] = CachedEmbedder(self._load(fingerprint))
                log.info("encoder_loaded", extra={"encoder": fingerprint})
            return self._held[fingerprint]

    def keep(self, fingerprints: Collection[str]) -> None:
        """Let go of all others: a large encoder holds gigabytes."""
        with self._loading:
            self._held = {name: one for name, one in self._held.items() if name in fingerprints}

    def _load(self, fingerprint: str) -> Embedder:
        if fingerprint in self._given:
            return self._given[fingerprint]
        try:
            return load_encoder(self.settings, fingerprint)
        except KhungError:
            raise
        except (RuntimeError, MemoryError, OSError) as error:  # a full GPU, a driver that is gone, a torn file
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(
                f"The query encoder {fingerprint} cannot be loaded: {said}.", cure="khung doctor"
            ) from error
