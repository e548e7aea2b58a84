"""GME-Qwen2-VL: images, Vietnamese or English questions, and both together as vectors of one space.

Zhang et al. 2024, "GME: Improving Universal Multimodal Retrieval by Multimodal LLMs" (Apache-2.0); 2B → 1536 dimensions, 7B → 3584.
The authors' code needs an old transformers, so the plain Qwen2-VL classes compute here, in the authors' way: their prompt byte for
byte, *sequential* positions on all three axes (not M-RoPE, which Qwen2-VL would use by itself: cosine 0.991–0.998), the last token's
state, unit length. Servers that use M-RoPE make another space: the fingerprint says `sequential`.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from khung.vision import Image, checkpoint, towers
from khung.vision import device as devices
from khung.vision.checkpoint import Checkpoint
from khung.vision.qwen2vl import FEWEST_TOKENS, VISION, Prepared, QwenInputs

CODE_VERSION = 1
DOCUMENT = "You are a helpful assistant."
QUERY = "Find an image that matches the given text."
LEAST_TOKENS, MOST_TOKENS, LONGEST = 256, 1280, 1800  # the authors' bounds
DEFAULT_TOKENS = 640  # of a keyframe: 1280×720 would be 1196, for twice the time


def prompt(content: str, instruction: str) -> str:
    """The text whose last token's state is the vector."""
    return (
        f"<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{content}<|im_end|>\n"
        "<|im_start|>assistant\n<|endoftext|>"
    )


def fingerprint_of(identity: str, most_tokens: int = DEFAULT_TOKENS) -> str:
    """The tower's fingerprint; `identity` is its Checkpoint's. No model is needed to know it."""
    return f"{identity}/tokens-{_bounded(most_tokens)}/sequential/{CODE_VERSION}"


def _bounded(most_tokens: int) -> int:
    return min(max(most_tokens, FEWEST_TOKENS), MOST_TOKENS)


class GmeTower:
    """A Tower of GME. `side` is where batches are padded; the vectors are the same, the right is faster: a causal model
    needs no mask there."""

    def __init__(
        self, weights: Checkpoint, *, most_tokens: int = DEFAULT_TOKENS, side: Literal["left", "right"] = "right"
    ) -> None:
        from transformers import Qwen2VLModel

        most = _bounded(most_tokens)
        self._inputs = QwenInputs(weights, least=LEAST_TOKENS, most=most, longest=LONGEST, rounded_first=True)
        self._model = checkpoint.load(weights, Qwen2VLModel, unused=("lm_head.weight",))
        self._side = side
        self.device = devices.choose(weights.device)
        self.dim = self._model.config.text_config.hidden_size
        self.fingerprint = fingerprint_of(weights.identity, most)

    def image(self, image: Image) -> Prepared:
        return self._inputs.prepare(prompt(VISION, DOCUMENT), image)

    def text(self, text: str) -> Prepared:
        return self._inputs.prepare(prompt(text, QUERY))

    def pair(self, image: Image, text: str) -> Prepared:
        return self._inputs.prepare(prompt(VISION + text, QUERY), image)

    def forward(self, batch: Sequence[Prepared]) -> np.ndarray:
        import torch

        tensors = self._inputs.batch(batch, self.device, side=self._side)
        mask = tensors.pop("attention_mask")
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        if self._side == "left":
            tensors["attention_mask"] = mask
        with torch.inference_mode():
            states = self._model(**tensors, position_ids=positions, use_cache=False).last_hidden_state
            return towers.unit(states[torch.arange(len(batch)), positions.argmax(1)])

    def shrink(self, item: Prepared) -> Prepared | None:
        return self._inputs.shrink(item)
