"""The large models that khung can use: a card each, and whether the weights lie in the models folder.

A card says what a model is, under which licence, how much memory it takes and which revision is meant. How weights come from a hub
is in `hub.py`, how they become a model in `checkpoint.py`; the small files of the embedded profile are in `catalogue.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from khung.errors import ConfigError
from khung.vision import hub
from khung.vision.checkpoint import NOTE

Family = Literal["gme", "qwen3-vl-embedding", "siglip", "instruct"]
NF4_SHARE = 0.48  # of the bfloat16 size, measured on a 7B Qwen: the vision tower and the embeddings stay whole


@dataclass(frozen=True, slots=True)
class ModelCard:
    """`revision` is the hub's commit; "" means the one that was newest at the pull, which the folder's note then keeps."""

    name: str
    kind: Literal["embedder", "describer"]
    family: Family
    hub_id: str
    revision: str
    licence: str
    parameters: int
    dim: int = 0  # of an embedder's vectors
    languages: str = "vi, en and many more"

    def memory_bytes(self, dtype: str = "bfloat16", quantisation: str = "none") -> int:
        """What the weights take; a batch and its activations come on top."""
        if quantisation == "nf4":
            return int(self.parameters * 2 * NF4_SHARE)
        return self.parameters * (4 if dtype == "float32" else 2)

    def folder(self, models_dir: Path) -> Path:
        return Path(models_dir) / self.name


@dataclass(frozen=True, slots=True)
class CardStatus:
    """`state`: ok, missing, incomplete (a file of the pull is not there), wrong (a size or a checksum differs), or unpinned
    (weights that no pull brought: usable, known by a digest of their contents)."""

    card: ModelCard
    state: Literal["ok", "missing", "incomplete", "wrong", "unpinned"]
    revision: str = ""
    size_bytes: int = 0


CARDS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard("gme-2b", "embedder", "gme", "Alibaba-NLP/gme-Qwen2-VL-2B-Instruct", "ce765ae71b8cdb208203cd8fb64a170b1b84293a", "Apache-2.0", 2_208_985_600, 1536, "en, zh; vi to be measured"),
        ModelCard("gme-7b", "embedder", "gme", "Alibaba-NLP/gme-Qwen2-VL-7B-Instruct", "477027a6480f8630363be77751f169cc3434b673", "Apache-2.0", 7_746_378_240, 3584, "en, zh; vi to be measured"),
        ModelCard("qwen3-vl-embedding-2b", "embedder", "qwen3-vl-embedding", "Qwen/Qwen3-VL-Embedding-2B", "9f2f7e710d6d81056aa5c0a4f04764fec6bb7bda", "Apache-2.0", 2_127_532_032, 2048),
        ModelCard("qwen3-vl-embedding-8b", "embedder", "qwen3-vl-embedding", "Qwen/Qwen3-VL-Embedding-8B", "2c4565515e0f265c6511776e7193b22c0968ddc7", "Apache-2.0", 8_144_793_840, 4096),
        ModelCard("siglip2-base", "embedder", "siglip", "google/siglip2-base-patch16-256", "", "Apache-2.0", 375_000_000, 768),
        ModelCard("siglip2-so400m", "embedder", "siglip", "google/siglip2-so400m-patch16-384", "", "Apache-2.0", 1_136_000_000, 1152),
        ModelCard("qwen3-vl-4b", "describer", "instruct", "Qwen/Qwen3-VL-4B-Instruct", "", "Apache-2.0", 4_438_000_000),
        ModelCard("qwen3-vl-8b", "describer", "instruct", "Qwen/Qwen3-VL-8B-Instruct", "", "Apache-2.0", 8_767_000_000),
        ModelCard("qwen2.5-vl-7b", "describer", "instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "", "Apache-2.0", 8_292_000_000),
    )
}  # fmt: skip
"""Revisions and exact sizes as the MTEB registry of models names them; sizes that end in 000 are rounded."""


def card(name: str) -> ModelCard:
    """Raises ConfigError with the names that there are."""
    if name not in CARDS:
        raise ConfigError(f"There is no model {name}.", cure=f"There are: {', '.join(CARDS)}.")
    return CARDS[name]


def pull(
    name: str,
    models_dir: Path,
    *,
    revision: str = "",
    endpoint: str | None = None,
    progress: hub.Progress | None = None,
) -> Path:
    """Bring the weights of a card, or of another revision of it. Returns the folder. Raises ModelFileMissing."""
    wanted = card(name)
    folder = wanted.folder(models_dir)
    hub.pull(wanted.hub_id, revision or wanted.revision, folder, name=name, endpoint=endpoint, progress=progress)
    return folder


def check(name: str, models_dir: Path, *, thorough: bool = True) -> CardStatus:
    """Compare the folder with the note of its pull: names and sizes, and when `thorough` every checksum (minutes for a 7B)."""
    wanted = card(name)
    folder = wanted.folder(models_dir)
    size = sum(path.stat().st_size for path in folder.glob("*") if path.is_file()) if folder.is_dir() else 0
    if not list(folder.glob("*.safetensors")):
        return CardStatus(wanted, "missing")
    if not (folder / NOTE).is_file():
        return CardStatus(wanted, "unpinned", size_bytes=size)
    note = hub.read_note(folder)
    return CardStatus(wanted, hub.compare(folder, note, thorough=thorough), note.revision, size)


def listing(models_dir: Path) -> list[CardStatus]:
    """Every card with its state, checksums left alone."""
    return [check(name, models_dir, thorough=False) for name in CARDS]
