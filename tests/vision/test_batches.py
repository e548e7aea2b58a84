"""Batches follow the memory: halved by real out-of-memory errors, resumed where they failed, grown back slowly."""

import gc
import weakref
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.errors import ConfigError, DeviceLost, ItemTooLarge
from khung.vision import device
from khung.vision.batches import Batches, BatchLimits, cost, fitting

pytestmark = pytest.mark.torch


@dataclass(frozen=True)
class Item:
    number: int
    tokens: int


class Memory:
    """A step that can hold `room` tokens and fails beyond with the error that `fail` raises."""

    def __init__(self, room: int, fail) -> None:
        self.room, self.fail = room, fail
        self.steps: list[list[int]] = []

    def __call__(self, batch):
        self.steps.append([item.number for item in batch])
        if cost(batch) > self.room:
            self.fail()
        return [item.number for item in batch]


def torch_raises():
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def cublas_raises():
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def cudnn_raises():
    raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")


def driver_raises():
    import torch

    raise torch.AcceleratorError("CUDA error: out of memory", 2)


def allocator_raises():
    """A real one: no machine has an exbibyte."""
    import torch

    torch.empty(2**60, dtype=torch.uint8)


OUT_OF_MEMORY = [torch_raises, cublas_raises, cudnn_raises, driver_raises, allocator_raises]


def items(*tokens: int) -> list[Item]:
    return [Item(number, count) for number, count in enumerate(tokens)]


class TestOutOfMemory:
    @pytest.mark.parametrize("fail", OUT_OF_MEMORY)
    def test_halved_and_resumed_at_the_failing_slice(self, fail):
        memory = Memory(40, fail)
        batches = Batches(BatchLimits(start=80))
        assert list(batches.run(items(*[10] * 12), memory)) == list(range(12))
        assert memory.steps == [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
        assert batches.strain.halved == 1

    def test_what_was_done_before_the_failure_is_not_done_again(self):
        memory = Memory(100, torch_raises)
        sizes = [10] * 10 + [60] * 4
        assert list(Batches(BatchLimits(start=130)).run(items(*sizes), memory)) == list(range(14))
        done = [number for step in memory.steps if max(sizes[n] for n in step) * len(step) <= 100 for number in step]
        assert done == list(range(14))

    def test_grows_back_slowly_and_not_beyond_the_limit(self):
        memory = Memory(10**9, torch_raises)
        batches = Batches(BatchLimits(start=20, most=60, grow_after=3, growth=1.5))
        list(batches.run(items(*[10] * 200), memory))
        sizes = [len(step) for step in memory.steps]
        assert sizes == sorted(sizes[:-1]) + sizes[-1:]  # the last one is what was left
        assert sizes[:4] == [2, 2, 2, 3] and max(sizes) == 6

    def test_failures_become_rare(self):
        memory = Memory(50, torch_raises)
        batches = Batches(BatchLimits(start=50, most=1000, grow_after=2, growth=1.25))
        list(batches.run(items(*[10] * 3000), memory))
        failed = [at for at, step in enumerate(memory.steps) if len(step) > 5]
        gaps = np.diff(failed)
        assert len(failed) < 12 and gaps[-1] > 10 * gaps[0]

    def test_one_item_that_does_not_fit_is_named_after_the_results_before_it(self):
        found = []
        with pytest.raises(ItemTooLarge, match="500 tokens"):
            for result in Batches().run(items(10, 10, 500, 10), Memory(100, torch_raises)):
                found.append(result)
        assert found == [0, 1]

    def test_or_it_shrinks_and_the_run_goes_on(self):
        batches = Batches()
        halve = lambda item: Item(item.number, item.tokens // 2) if item.tokens > 60 else None  # noqa: E731
        assert list(batches.run(items(10, 500, 10), Memory(100, torch_raises), halve)) == [0, 1, 2]
        assert batches.strain.shrunk == 3  # 500 → 250 → 125 → 62

    def test_a_shrink_that_does_not_shrink_is_not_tried_for_ever(self):
        with pytest.raises(ItemTooLarge):
            list(Batches().run(items(500), Memory(100, torch_raises), lambda item: item))

    def test_the_failed_steps_tensors_are_gone_before_the_next_try(self):
        """A traceback that is still held would hold them, and the halved batch would fail too."""

        class Tensor:
            pass

        seen: list[weakref.ref] = []

        def step(batch):
            gc.collect()
            assert all(ref() is None for ref in seen)
            big = Tensor()
            seen.append(weakref.ref(big))
            if len(batch) > 1:
                torch_raises()
            return [item.number for item in batch]

        assert list(Batches().run(items(10, 10, 10, 10), step)) == [0, 1, 2, 3]
        assert len(seen) == 6  # 4, 2, then 1 by 1

    def test_a_bug_is_not_taken_for_a_lack_of_memory(self):
        def step(batch):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        with pytest.raises(RuntimeError, match="shapes"):
            list(Batches().run(items(1), step))

    @pytest.mark.parametrize(
        "text",
        [
            "CUDA error: an illegal memory access was encountered",
            "CUDA error: device-side assert triggered",
            "CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
        ],
    )
    def test_a_dead_context_is_told_apart(self, text):
        import torch

        for error in (RuntimeError(text), torch.AcceleratorError(text, 700)):

            def step(batch, error=error):
                raise error

            with pytest.raises(DeviceLost, match="new process"):
                list(Batches().run(items(1, 1), step))


@given(
    st.lists(st.integers(1, 50), max_size=60),
    st.integers(50, 300),
    st.integers(1, 2000),
    st.integers(1, 4),
)
def test_every_item_once_and_in_order_whatever_the_memory(tokens, room, start, grow_after):
    memory = Memory(room, torch_raises)
    batches = Batches(BatchLimits(start=start, most=2000, items=7, grow_after=grow_after))
    assert list(batches.run(items(*tokens), memory)) == list(range(len(tokens)))
    assert all(len(step) <= 7 for step in memory.steps)


def test_results_come_before_all_items_are_read():
    read = []

    def source():
        for item in items(*[10] * 100):
            read.append(item)
            yield item

    first = next(Batches(BatchLimits(start=40)).run(source(), Memory(10**6, torch_raises)))
    assert first == 0 and len(read) <= 5


def test_padding_counts():
    """Ten short ones beside a long one cost ten long ones."""
    memory = Memory(10**6, torch_raises)
    list(Batches(BatchLimits(start=100)).run(items(10, 10, 10, 50, 10, 10), memory))
    assert memory.steps == [[0, 1, 2], [3, 4], [5]]


class Card:
    """A device with 1000 bytes free, where a token costs 5."""

    measures = True

    def __init__(self) -> None:
        self.starts = 0

    def start(self) -> None:
        self.starts += 1

    def used(self) -> int:
        return 5 * 20

    def free(self) -> int:
        return 1000


def test_the_first_step_measures_and_sets_the_bound():
    card, memory = Card(), Memory(10**6, torch_raises)
    batches = Batches(BatchLimits(start=20, most=10_000, grow_after=10**6), card)
    list(batches.run(items(*[10] * 100), memory))
    assert card.starts == 1
    assert [len(step) for step in memory.steps[:3]] == [2, 17, 17]  # 0.85 · 1000 / 5 = 170 tokens


def test_what_fits():
    assert fitting(1000.0, 10**9, 10**9) == 850_000
    assert fitting(1000.0, 10**9, 5000) == 5000
    assert fitting(1000.0, 0, 5000) == 1


def test_ordinary_errors_are_neither():
    for error in (
        ValueError("out of memory"),
        RuntimeError("expected scalar type Half"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        KeyError("CUDA error"),
    ):
        assert not device.out_of_memory(error) and not device.context_lost(error)


def test_a_card_without_bfloat16_is_told_before_anything_is_loaded(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    with pytest.raises(ConfigError, match="float16"):
        device.check_dtype("cuda:0", "bfloat16")
    device.check_dtype("cuda:0", "float16")
    device.check_dtype("cpu", "bfloat16")


def test_on_a_cpu_nothing_is_measured():
    assert not device.MemoryMeter("cpu").measures
