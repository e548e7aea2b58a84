"""SigLIP 2 of fixed resolution: small, fast, many languages; the fallback's space, or the only one on a modest GPU or a CPU.

Tschannen et al. 2025, "SigLIP 2" (Apache-2.0). The text tower is trained on lower case, padded to 64 tokens and *not* masked: the
last place is read even when it is padding. A longer question is cut there, as in training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from khung.errors import ModelError
from khung.vision import Image, checkpoint, towers
from khung.vision import device as devices
from khung.vision.checkpoint import Checkpoint

CODE_VERSION = 1
TEXT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pixels `(3, side, side)` float32, or ids `(TEXT_TOKENS,)` int64."""

    values: np.ndarray
    tokens: int


def fingerprint_of(identity: str) -> str:
    """The tower's fingerprint; `identity` is its Checkpoint's. No model is needed to know it."""
    return f"{identity}/siglip/{CODE_VERSION}"


class SiglipTower:
    """A Tower of SigLIP or SigLIP 2."""

    def __init__(self, weights: Checkpoint) -> None:
        from transformers import AutoImageProcessor, SiglipModel

        self._processor = AutoImageProcessor.from_pretrained(
            weights.check(), backend="pil", local_files_only=True, trust_remote_code=False
        )
        self._tokenizer = checkpoint.tokenizer(weights)
        self._model = checkpoint.load(weights, SiglipModel)
        vision = self._model.config.vision_config
        self._patches = (vision.image_size // vision.patch_size) ** 2
        self.device = devices.choose(weights.device)
        self.dim = vision.hidden_size
        self.fingerprint = fingerprint_of(weights.identity)

    def image(self, image: Image) -> Prepared:
        pixels = self._processor(images=[image], return_tensors="np", input_data_format="channels_last")
        return Prepared(pixels["pixel_values"][0], self._patches)

    def text(self, text: str) -> Prepared:
        ids = self._tokenizer(
            text.lower(), padding="max_length", max_length=TEXT_TOKENS, truncation=True, padding_side="right"
        ).input_ids
        return Prepared(np.array(ids, np.int64), TEXT_TOKENS)

    def pair(self, image: Image, text: str) -> Prepared:
        raise ModelError("SigLIP has no vector of an image and words together.", cure="Ask with one of the two.")

    def forward(self, batch: Sequence[Prepared]) -> np.ndarray:
        """Images and texts may stand side by side."""
        out = np.empty((len(batch), self.dim), np.float32)
        for texts in (False, True):
            rows = [row for row, item in enumerate(batch) if (item.values.ndim == 1) is texts]
            if rows:
                out[rows] = self._tower(np.stack([batch[row].values for row in rows]), texts)
        return out

    def shrink(self, item: Prepared) -> None:
        """Its resolution is fixed."""
        return None

    def _tower(self, values: np.ndarray, texts: bool) -> np.ndarray:
        import torch

        tensor = torch.from_numpy(values).to(self.device)
        with torch.inference_mode():
            if texts:
                return towers.unit(self._model.get_text_features(input_ids=tensor).pooler_output)
            return towers.unit(self._model.get_image_features(pixel_values=tensor.to(self._model.dtype)).pooler_output)
