"""Models for workers: what a child process makes by unpickling a name. Some of them end their process, as a dead device does."""

import os
import signal
import time
from functools import partial
from pathlib import Path

from khung.errors import DeviceLost, ItemTooLarge, ModelFileMissing


class Echo:
    """Doubles numbers in batches of three, reading ahead like a real one."""

    fingerprint = "echo"
    dim = 1

    def __init__(self, kill=lambda item: None) -> None:
        self.kill = kill

    def double(self, items):
        batch = []
        for item in items:
            batch.append(item)
            if len(batch) == 3:
                yield from self._run(batch)
                batch = []
        yield from self._run(batch)

    def process(self, items):
        for _ in items:
            yield os.getpid()

    def environment(self, items):
        for name in items:
            yield os.environ.get(name, "")

    def too_large(self, items):
        for item in items:
            if item == 5:
                raise ItemTooLarge("Item five.", cure="Leave it.")
            yield item

    def bug(self, items):
        for item in items:
            yield 1 // (3 - item)

    def forgets(self, items):
        for item in items:
            if item != 2:
                yield item

    def slow(self, items):
        for item in items:
            time.sleep(0.01)
            yield item

    def hangs(self, items):
        for item in items:
            if item == 4:
                time.sleep(3600)
            yield item

    def _run(self, batch):
        for item in batch:
            self.kill(item)
        return [2 * item for item in batch]


def echo() -> Echo:
    return Echo()


def _once(marks: str, number: int, die, item: int) -> None:
    mark = Path(marks) / str(item)
    if item == number and not mark.exists():
        mark.touch()
        die()


def _always(number: int, die, item: int) -> None:
    if item == number:
        die()


def lose_device() -> None:
    raise DeviceLost("CUDA error: an illegal memory access was encountered.")


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does when memory runs out


def dies_once(marks: Path, number: int, die) -> Echo:
    return Echo(partial(_once, str(marks), number, die))


def dies_always(number: int, die) -> Echo:
    return Echo(partial(_always, number, die))


def missing() -> Echo:
    raise ModelFileMissing("The model x is not in y.", cure="Run `khung models pull x`.")


def ends_while_loading() -> Echo:
    os._exit(3)


def loads_slowly() -> Echo:
    time.sleep(3600)
    return Echo()


class Strained(Echo):
    """An embedder of numbers whose memory is full once a stream; loses its device on the first item of −1."""

    def __init__(self, marks: str = "") -> None:
        from khung.vision.batches import Strain

        super().__init__()
        self.marks, self.strain = marks, Strain()

    def stream_images(self, items):
        from khung.vision.batches import Strain

        self.strain += Strain(halved=1, shrunk=2)
        for item in items:
            if item == -1:
                _once(self.marks, -1, lose_device, item)
            time.sleep(0.002)
            yield [os.getpid(), item]


def strained(marks: Path) -> Strained:
    return Strained(str(marks))


def tiny_embedder(folder: Path, lost_once: Path | None = None):
    """The production embedder; with `lost_once`, its device fails at the third forward, once."""
    import torch

    from khung.vision.batches import BatchLimits
    from khung.vision.gme import GmeTower
    from khung.vision.towers import TowerEmbedder
    from tests.support.tiny_models import checkpoint

    torch.set_num_threads(1)
    tower = GmeTower(checkpoint(folder), most_tokens=64)
    if lost_once:
        calls = [0]

        def fail(module, args):
            calls[0] += 1
            if calls[0] == 3 and not lost_once.exists():
                lost_once.touch()
                raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700)

        tower._model.register_forward_pre_hook(fail)
    return TowerEmbedder(tower, BatchLimits(start=300, most=300))
