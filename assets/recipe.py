"""By which recipe a stage makes its results: the version of its code, the settings it heeds, the models it asks.

Dagster and the ledger keep it with each result, so that after a change exactly what it made is stale. Knowing a recipe loads no model.
"""

from collections.abc import Mapping

from assets.versions import digest
from khung.keyframes.pick import SCORES_VERSION
from khung.settings import ExtractionSettings, Settings
from khung.shards.manifest import SCHEMA_VERSION
from khung.text.fields import TEXT_VERSION
from khung.video import playable
from khung.vision import files
from khung.vision.load import EMBEDDED_DESCRIBER, EMBEDDED_EMBEDDER, READ_BY_DESCRIBER, choice, fingerprints

CODE_VERSIONS = {
    "videos": "2",  # 2: says whether browsers play the file
    "shots": "5",  # 2: entropy of every second row, 48×27 halved twice; 3: TransNetV2 in long windows; 4: pictures of 96×54; 5: still ones kept less often
    "keyframes": "2",  # 2: WebP by a faster method
    "preview": "1",
    "embeddings": "1",
    "descriptions": "1",
    "playable_copies": "1",
}
"""Raise one when its stage would make another result of the same input."""

SEAL_VERSION = f"1-schema{SCHEMA_VERSION}-text{TEXT_VERSION}"
"""Of the shards: their files and their words. A seal of another version cannot be searched any more, and is made again unasked."""

SHOT_SETTINGS = (
    "transnet_precision",
    "transnet_threshold",
    "content_threshold",
    "adaptive_threshold",
    "merge_within_s",
    "min_shot_s",
    "max_fps",
)
SIGNAL_SETTINGS = ("transnet_precision", "max_fps")
"""Those that the decode pass and the network heed; the other settings of the shots only read what these left."""

KEYFRAME_SETTINGS = ("min_fps", "max_fps", "phash_hamming")


def code_versions(settings: Settings) -> Mapping[str, str]:
    """Stage → all that its results depend on beside their inputs."""
    models = fingerprints(settings)
    recipes = {
        "shots": digest(files.FILES["transnetv2.onnx"].sha256, *_heeded(settings.extraction, SHOT_SETTINGS)),
        "keyframes": digest(SCORES_VERSION, *_heeded(settings.extraction, KEYFRAME_SETTINGS)),
        "preview": models.embedder,
        "embeddings": models.embedder,
        "descriptions": notes_fingerprint(models.describer, models.reader),
        "playable_copies": playable.RECIPE,
    }
    return {stage: f"{code}-{recipes[stage]}" if stage in recipes else code for stage, code in CODE_VERSIONS.items()}


def model_kinds(settings: Settings) -> Mapping[str, set[str]]:
    """Stage → what its models run on, for the badges in Dagster's UI."""
    chosen = choice(settings)
    embedder = {"ai", "openvino" if chosen.embedder == EMBEDDED_EMBEDDER else "pytorch"}
    describer = {EMBEDDED_DESCRIBER: "openvino", "server": "openai"}.get(chosen.describer, "pytorch")
    readers = {"openvino"} if chosen.reader != READ_BY_DESCRIBER else set()
    return {"preview": embedder, "embeddings": embedder, "descriptions": {"ai", describer} | readers}


def signals_recipe(settings: ExtractionSettings, sha256: str) -> str:
    """By which recipe, from which bytes, the signals and candidates of a video are made."""
    network = files.FILES["transnetv2.onnx"].sha256
    return digest(CODE_VERSIONS["shots"], network, *_heeded(settings, SIGNAL_SETTINGS), sha256)


def notes_fingerprint(describer: str, reader: str) -> str:
    """Of the two models that make the notes of a frame."""
    return f"{describer}+{reader}"


def _heeded(settings: ExtractionSettings, names: tuple[str, ...]) -> list[tuple[str, object]]:
    return [(name, getattr(settings, name)) for name in names]
