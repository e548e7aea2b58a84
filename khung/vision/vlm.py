"""Descriptions by an instruct vision-language model in this process: one greedy generation a frame, bound to the schema.

Qwen2-VL, Qwen2.5-VL and Qwen3-VL Instruct (the class is the checkpoint's own). What is asked is in `vlm_schema.py`, how the answer is
kept to the schema in `constrained.py`; a server that does the same is in `openai_describer.py` and describes several times faster.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from khung.errors import ModelError
from khung.vision import Image, checkpoint, vlm_schema
from khung.vision import device as devices
from khung.vision.batches import Batches, BatchLimits, Strain
from khung.vision.checkpoint import Checkpoint
from khung.vision.constrained import Grammar, Guide
from khung.vision.qwen2vl import FEWEST_TOKENS, VISION, Prepared, QwenInputs
from khung.vision.speaking import Said
from khung.vision.towers import PREPARERS, Encoded, ahead, decoded

CODE_VERSION = 1
LEAST_TOKENS, MOST_TOKENS = 64, 1280
DEFAULT_TOKENS = 640
ANSWER_TOKENS = 448  # then the answer is brought to its end; usual ones have 200
CLOSING_TOKENS = 384  # enough for the shortest rest of any answer, were every byte of it a token
LONGEST = 8192


def prompt() -> str:
    """Qwen's chat form, byte for byte."""
    return (
        f"<|im_start|>system\n{vlm_schema.SYSTEM}<|im_end|>\n<|im_start|>user\n{VISION}{vlm_schema.prompt()}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """An input and the room of its answer: what a batch costs."""

    prepared: Prepared
    answer: int

    @property
    def tokens(self) -> int:
        return self.prepared.tokens + self.answer


def fingerprint_of(identity: str, most_tokens: int = DEFAULT_TOKENS, answer_tokens: int = ANSWER_TOKENS) -> str:
    """The speaker's fingerprint; `identity` is its Checkpoint's. No model is needed to know it."""
    asked = vlm_schema.prompt_fingerprint()
    return f"{identity}/tokens-{_bounded(most_tokens)}/answer-{answer_tokens}/{asked}/{CODE_VERSION}"


def _bounded(most_tokens: int) -> int:
    return min(max(most_tokens, FEWEST_TOKENS), MOST_TOKENS)


class VlmSpeaker:
    """A Speaker: give it images, get checked answers with confidences."""

    def __init__(
        self,
        weights: Checkpoint,
        *,
        most_tokens: int = DEFAULT_TOKENS,
        answer_tokens: int = ANSWER_TOKENS,
        limits: BatchLimits | None = None,
    ) -> None:
        from transformers import AutoModelForImageTextToText

        most = _bounded(most_tokens)
        self._inputs = QwenInputs(weights, least=LEAST_TOKENS, most=most, longest=LONGEST)
        self._model = checkpoint.load(weights, AutoModelForImageTextToText)
        self._tokenizer = checkpoint.tokenizer(weights)
        self.device = devices.choose(weights.device)
        self._answer_tokens = answer_tokens
        vocabulary = self._model.get_output_embeddings().weight.shape[0]
        self._grammar = Grammar(self._tokenizer, vocabulary, vlm_schema.schema())
        self._model.generation_config = self._greedy()
        self.batches = Batches(limits, devices.MemoryMeter(self.device))
        self.fingerprint = fingerprint_of(weights.identity, most, answer_tokens)

    @property
    def strain(self) -> Strain:
        return self.batches.strain

    def answers(self, images: Sequence[Image | Encoded]) -> list[Said]:
        return list(self.stream(images))

    def stream(self, images: Iterable[Image | Encoded]) -> Iterator[Said]:
        """An answer an image, in order, each as soon as its batch is done."""
        with ThreadPoolExecutor(PREPARERS, "prepare") as pool:
            ready = ahead(pool, images, self._ask, 8 * PREPARERS)
            yield from self.batches.run(ready, self._generate, self._shrink)

    def _ask(self, image: Image | Encoded) -> _Asked:
        return _Asked(self._inputs.prepare(prompt(), decoded(image)), self._answer_tokens)

    def _shrink(self, asked: _Asked) -> _Asked | None:
        smaller = self._inputs.shrink(asked.prepared)
        return _Asked(smaller, asked.answer) if smaller else None

    def _generate(self, batch: Sequence[_Asked]) -> list[Said]:
        import torch

        tensors = self._inputs.batch([asked.prepared for asked in batch], self.device, side="left")
        guide = Guide(self._grammar, len(batch), self._answer_tokens)
        with torch.inference_mode():
            ids = self._model.generate(**tensors, logits_processor=[guide])
        if not guide.finite():
            raise ModelError(f"{self.fingerprint} gave numbers that are not finite.", cure="Use bfloat16 or float32.")
        written = ids[:, tensors["input_ids"].shape[1] :].tolist()
        return [
            Said(vlm_schema.parse(self._text(row)), confidence)
            for row, confidence in zip(written, guide.confidence(), strict=True)
        ]

    def _text(self, ids: list[int]) -> str:
        """Up to the end mark. Raises ModelError when there is none: the bounds of the schema were wrong."""
        if self._grammar.eos not in ids:
            raise ModelError(f"The describer did not end its answer within {len(ids)} tokens.")
        try:
            return self._grammar.tokens.decode_bytes(ids[: ids.index(self._grammar.eos)]).decode()
        except UnicodeDecodeError as error:
            raise ModelError("The describer's answer is not UTF-8.") from error

    def _greedy(self) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(
            do_sample=False,
            max_new_tokens=self._answer_tokens + CLOSING_TOKENS,
            eos_token_id=self._grammar.eos,
            pad_token_id=self._inputs.pad_id,
        )
