"""Qwen3-VL-Embedding: the successor of GME in a space of its own (2B → 2048 dimensions, 8B → 4096; Apache-2.0).

Qwen team 2026, "Qwen3-VL-Embedding and Qwen3-VL-Reranker". Unlike GME it keeps the model's own multimodal positions and reads the
last token as the tokenizer leaves it. Trained to be cut (Matryoshka): the first dimensions alone are a smaller space.
"""

from collections.abc import Sequence

import numpy as np

from khung.errors import ConfigError
from khung.vision import Image, checkpoint, towers
from khung.vision import device as devices
from khung.vision.checkpoint import Checkpoint
from khung.vision.qwen2vl import FEWEST_TOKENS, VISION, Prepared, QwenInputs

CODE_VERSION = 1
DOCUMENT = "Represent the user's input."
QUERY = "Retrieve images or text relevant to the user's query."
LEAST_TOKENS, MOST_TOKENS, LONGEST = 4, 1800, 2048  # the authors' bounds
DEFAULT_TOKENS = 640
LEAST_DIM = 64


def prompt(content: str, instruction: str) -> str:
    return (
        f"<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"
    )


def fingerprint_of(identity: str, most_tokens: int = DEFAULT_TOKENS, dim: int = 0) -> str:
    """The tower's fingerprint; `identity` is its Checkpoint's. No model is needed to know it."""
    return f"{identity}/tokens-{_bounded(most_tokens)}/dim-{dim or 'all'}/mrope/{CODE_VERSION}"


def _bounded(most_tokens: int) -> int:
    return min(max(most_tokens, FEWEST_TOKENS), MOST_TOKENS)


class Qwen3Tower:
    """A Tower of Qwen3-VL-Embedding. `dim` 0 means all dimensions."""

    def __init__(self, weights: Checkpoint, *, most_tokens: int = DEFAULT_TOKENS, dim: int = 0) -> None:
        from transformers import Qwen3VLModel

        most = _bounded(most_tokens)
        self._inputs = QwenInputs(weights, least=LEAST_TOKENS, most=most, longest=LONGEST)
        self._model = checkpoint.load(weights, Qwen3VLModel, unused=("lm_head.weight",))
        whole = self._model.config.text_config.hidden_size
        if dim and not LEAST_DIM <= dim <= whole:
            raise ConfigError(f"{weights.name} has {whole} dimensions: {dim} cannot be cut from them.")
        self.device = devices.choose(weights.device)
        self.dim = dim or whole
        self.fingerprint = fingerprint_of(weights.identity, most, dim)

    def image(self, image: Image) -> Prepared:
        return self._inputs.prepare(prompt(VISION, DOCUMENT), image)

    def text(self, text: str) -> Prepared:
        return self._inputs.prepare(prompt(text, QUERY))

    def pair(self, image: Image, text: str) -> Prepared:
        return self._inputs.prepare(prompt(VISION + text, QUERY), image)

    def forward(self, batch: Sequence[Prepared]) -> np.ndarray:
        import torch

        tensors = self._inputs.batch(batch, self.device)
        last = tensors.pop("attention_mask").sum(1) - 1  # padded on the right: a causal model needs no mask
        with torch.inference_mode():
            states = self._model(**tensors, use_cache=False).last_hidden_state
            return towers.unit(states[torch.arange(len(batch)), last][:, : self.dim])

    def shrink(self, item: Prepared) -> Prepared | None:
        return self._inputs.shrink(item)
