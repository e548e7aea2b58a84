"""What all Qwen vision-language models are fed: image patches, prompts with an image in them, padded batches.

Without torchvision: the PIL image processor and the tokenizer are used by themselves, `<|image_pad|>` is repeated by hand. Which
prompt, which positions and which token is read is the business of `gme.py`, `qwen3_vl.py` and `vlm.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from khung.errors import ItemTooLarge, ModelError
from khung.vision import Image
from khung.vision.checkpoint import Checkpoint, tokenizer

VISION = "<|vision_start|><|image_pad|><|vision_end|>"
IMAGE_PAD = "<|image_pad|>"
PAD = "<|endoftext|>"
FEWEST_TOKENS = 32  # an image that does not fit even so is given up
MOST_ASPECT = 200  # the image processor's own limit


@dataclass(frozen=True, slots=True)
class Prepared:
    """One input, ready for the device: token ids with the image's places in them, and the image's patches."""

    ids: np.ndarray  # int64 (tokens,)
    pixels: np.ndarray | None = None  # float32 (patches, values)
    grid: tuple[int, int, int] | None = None  # time, height, width in patches
    prompt: str = ""  # this and the image are kept, so that it can be prepared again with fewer tokens
    image: Image | None = None

    @property
    def tokens(self) -> int:
        return len(self.ids)


class QwenInputs:
    """Makes inputs of one checkpoint. Thread-safe: PIL and numpy only.

    `least` and `most` bound the tokens of an image (Qwen: patches in groups of 2 × 2). `rounded_first`: enlarge or reduce the
    image to whole patches before the cap is applied, as GME's authors do.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, least: int, most: int, longest: int, rounded_first: bool = False
    ) -> None:
        from transformers import AutoImageProcessor

        self._processor = AutoImageProcessor.from_pretrained(
            checkpoint.check(), backend="pil", local_files_only=True, trust_remote_code=False
        )
        self._tokenizer = tokenizer(checkpoint)
        self.least, self.most, self.longest = least, most, longest
        self._rounded_first = rounded_first
        self._side = self._processor.patch_size * self._processor.merge_size
        self.pad_id, self.image_id = (self._tokenizer.convert_tokens_to_ids(t) for t in (PAD, IMAGE_PAD))

    def prepare(self, prompt: str, image: Image | None = None, *, most: int | None = None) -> Prepared:
        """`prompt` holds VISION once if there is an image. Raises ItemTooLarge when it is longer than `longest`: a longer
        one would lose its last token, the one that is read."""
        if image is None:
            return Prepared(self._ids(prompt, 0), prompt=prompt)
        pixels, grid = self._patches(image, most or self.most)
        tokens = grid[0] * grid[1] * grid[2] // self._processor.merge_size**2
        return Prepared(self._ids(prompt, tokens), pixels, grid, prompt, image)

    def batch(
        self, items: Sequence[Prepared], device: str, *, side: Literal["left", "right"] = "right"
    ) -> dict[str, Any]:
        """Tensors on the device: `input_ids` and `attention_mask` `(n, longest)`, and of the images `pixel_values`,
        `image_grid_thw` and `mm_token_type_ids` (1 where an image stands)."""
        import torch

        length = max(item.tokens for item in items)
        ids = np.full((len(items), length), self.pad_id, np.int64)
        mask = np.zeros((len(items), length), np.int64)
        for row, item in enumerate(items):
            place = slice(length - item.tokens, None) if side == "left" else slice(item.tokens)
            ids[row, place], mask[row, place] = item.ids, 1
        tensors = {"input_ids": ids, "attention_mask": mask}
        if pixels := [item.pixels for item in items if item.pixels is not None]:
            tensors["pixel_values"] = np.concatenate(pixels)
            tensors["image_grid_thw"] = np.array([item.grid for item in items if item.grid], np.int64)
            tensors["mm_token_type_ids"] = (ids == self.image_id).astype(np.int64)
        return {name: torch.from_numpy(array).to(device) for name, array in tensors.items()}

    def shrink(self, item: Prepared) -> Prepared | None:
        """The same input with half the image tokens; None when there is nothing left to give."""
        most = int((item.ids == self.image_id).sum()) // 2
        return self.prepare(item.prompt, item.image, most=most) if most >= FEWEST_TOKENS else None

    def _ids(self, prompt: str, image_tokens: int) -> np.ndarray:
        ids = np.array(self._tokenizer(prompt).input_ids, np.int64)
        places = np.flatnonzero(ids == self.image_id)
        if len(places) != (image_tokens > 0):
            raise ModelError("A query may not contain the model's own marks.", cure=f"Remove “{IMAGE_PAD}”.")
        if image_tokens:
            ids = np.concatenate([ids[: places[0]], np.full(image_tokens, self.image_id), ids[places[0] + 1 :]])
        if len(ids) > self.longest:
            raise ItemTooLarge(
                f"The input has {len(ids)} tokens, the model takes {self.longest}.", cure="Shorten the text."
            )
        return ids

    def _patches(self, image: Image, most: int) -> tuple[np.ndarray, tuple[int, int, int]]:
        from PIL import Image as Pillow

        height, width = image.shape[:2]
        if max(height, width) > MOST_ASPECT * min(height, width):
            raise ModelError(f"An image of {width}×{height} is too narrow for the model.")
        picture = Pillow.fromarray(image)
        if self._rounded_first:
            picture = picture.resize(self._whole(width, height))
        area = self._side**2
        least = min(self.least, most // 2)  # enlarging rounds up: nearer to the cap it could pass it
        size = {"shortest_edge": least * area, "longest_edge": most * area}
        found = self._processor(images=[picture], size=size, return_tensors="np")
        return found["pixel_values"], tuple(int(n) for n in found["image_grid_thw"][0])

    def _whole(self, width: int, height: int) -> tuple[int, int]:
        """The nearest size in whole patches, between 4 and 16384 of them (qwen_vl_utils' own bounds)."""
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        side = self._side
        tall, wide = smart_resize(max(height, side), max(width, side), side, 4 * side**2, 16384 * side**2)
        return wide, tall
