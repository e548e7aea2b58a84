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
    pixels: np.ndarray | None = None  # uint8 (patches, 3 · side · side), in the order of merging; scaled on the device
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
        pixels = [item.pixels for item in items if item.pixels is not None]
        if pixels:
            tensors["image_grid_thw"] = np.array([item.grid for item in items if item.grid], np.int64)
            tensors["mm_token_type_ids"] = (ids == self.image_id).astype(np.int64)
        batch = {name: torch.from_numpy(array).to(device) for name, array in tensors.items()}
        return batch | ({"pixel_values": self._scaled(np.concatenate(pixels), device)} if pixels else {})

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
        """The patches in groups that are merged into one token, row by row, each as colour, row, column."""
        pixels = np.asarray(self._sized(image, most))
        side, merge = self._processor.patch_size, self._processor.merge_size
        rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
        parts = pixels.reshape(rows // merge, merge, side, columns // merge, merge, side, 3)
        return parts.transpose(0, 3, 1, 4, 6, 2, 5).reshape(rows * columns, -1), (1, rows, columns)

    def _sized(self, image: Image, most: int) -> Any:
        """A PIL image of whole patch groups, within the bounds of tokens. Bicubic, as the models were trained."""
        from PIL import Image as Pillow

        height, width = image.shape[:2]
        if max(height, width) > MOST_ASPECT * min(height, width):
            raise ModelError(f"An image of {width}×{height} is too narrow for the model.")
        picture = Pillow.fromarray(image)
        if self._rounded_first:
            picture = picture.resize(self._whole(picture, 4, 16384))  # the bounds of the authors' own helper
        least = min(self.least, most // 2)  # enlarging rounds up: nearer to the cap it could pass it
        return picture.resize(self._whole(picture, least, most))

    def _whole(self, picture: Any, least: int, most: int) -> tuple[int, int]:
        """The nearest width and height in whole patch groups, `least` to `most` of them."""
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        side = self._side
        tall, wide = smart_resize(
            max(picture.height, side), max(picture.width, side), side, least * side**2, most * side**2
        )
        return wide, tall

    def _scaled(self, pixels: np.ndarray, device: str) -> Any:
        """The model's `pixel_values`: each colour by its mean and deviation, each patch once for every frame of a film that
        stands still. On the device: an eighth of the bytes go there, and its arithmetic is free."""
        import torch

        mean, deviation = (
            torch.tensor(values, device=device).view(1, 3, 1, 1)
            for values in (self._processor.image_mean, self._processor.image_std)
        )
        values = torch.from_numpy(pixels).to(device).float().view(len(pixels), 3, 1, -1)
        values = (values / 255 - mean) / deviation
        return values.expand(-1, -1, self._processor.temporal_patch_size, -1).reshape(len(pixels), -1)
