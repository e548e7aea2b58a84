"""The query encoder for vectors that exist: found by their fingerprint, not by what the settings would make today.

After another embedder was chosen, the library still holds vectors of the old one until they are made again; it stays searchable
meanwhile. Vectors of different fingerprints are never compared: what cannot be matched is refused by name.
"""

import re

from khung.errors import ConfigError, VectorSpaceMismatch
from khung.settings import EmbedderSettings, Settings
from khung.vision import Embedder
from khung.vision.load import EMBEDDED_EMBEDDER, fingerprints, load_embedder
from khung.vision.remote_encoder import RemoteEncoder

_LARGE = re.compile(
    r"(?P<name>[^@/]+)@[^/]+/(?P<dtype>bfloat16|float16|float32)(?:-(?P<quantisation>nf4))?"
    r"(?:/tokens-(?P<image_tokens>\d+))?(?:/dim-(?P<dim>\d+))?/.*"
)


def load_encoder(settings: Settings, fingerprint: str) -> Embedder:
    """The Embedder of that fingerprint: the one that is set, else the embedded one, else a large one held as the vectors were made.
    With encoder servers in the settings they have the large ones, and whether they do shows when they are asked.

    Raises VectorSpaceMismatch when none of this machine's has it, ModelFileMissing when its files are not here."""
    if settings.encoder.servers and _LARGE.fullmatch(fingerprint):
        return RemoteEncoder(fingerprint, settings.encoder)
    for candidate in _candidates(settings, fingerprint):
        if _fingerprint(candidate) == fingerprint:
            return load_embedder(candidate)
    raise VectorSpaceMismatch(
        f"The library's vectors are of {fingerprint}; the embedder that is set is {_fingerprint(settings)}.",
        cure="Set KHUNG_EMBEDDER_NAME and its folder to the library's model, or embed the library again.",
    )


def _candidates(settings: Settings, fingerprint: str) -> list[Settings]:
    held = settings.embedder
    embedded = _with(settings, EmbedderSettings(name=EMBEDDED_EMBEDDER, _env_file=None))
    found = [settings, *(embedded.model_copy(update={"embedded_precision": one}) for one in ("int8", "exact"))]
    if named := _LARGE.fullmatch(fingerprint):
        words = {key: value for key, value in named.groupdict().items() if value}
        numbers = {key: int(words.pop(key)) for key in ("image_tokens", "dim") if key in words}
        as_made = held.model_copy(update={"quantisation": "none", "dim": 0} | words | numbers)
        found += [_with(settings, as_made), _with(settings, as_made.model_copy(update={"dim": 0, "folder": None}))]
    return found


def _with(settings: Settings, held: EmbedderSettings) -> Settings:
    return settings.model_copy(update={"embedder": held})


def _fingerprint(settings: Settings) -> str:
    """ "" when these settings name no embedder."""
    try:
        return fingerprints(settings).embedder
    except ConfigError:
        return ""
