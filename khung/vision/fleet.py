"""Models in worker processes as if they stood in this one: one worker a GPU, the items spread over them, the results in order."""

import os
import queue
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from khung.errors import ModelError
from khung.vision import Image
from khung.vision.batches import Strain
from khung.vision.speaking import Said
from khung.vision.towers import Encoded, ahead
from khung.vision.worker import Worker

CHUNK = 128  # items that go to one worker: its pipeline runs empty at the end of each


class Fleet:
    """Workers that hold the same model. Raises ModelError when they do not."""

    def __init__(self, workers: Sequence[Worker], *, chunk: int = CHUNK) -> None:
        self._workers, self._chunk = workers, chunk
        models = {(worker.about["fingerprint"], worker.about["dim"]) for worker in workers}
        if len(models) != 1:
            raise ModelError(f"The workers hold different models: {', '.join(sorted(name for name, _ in models))}.")
        ((self.fingerprint, self.dim),) = models

    def spread(self, method: str, items: Iterable[Any]) -> Iterator[Any]:
        """Chunks of the items go to whichever worker is free; the results come in the order of the items. A short list is cut so that
        every worker gets a part of it."""
        if len(self._workers) == 1:
            yield from self._workers[0].stream(method, items)
            return
        free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._workers:
            free.put(worker)

        def run(part: Sequence[Any]) -> list[Any]:
            worker = free.get()
            try:
                return list(worker.stream(method, part))
            finally:
                free.put(worker)

        size = self._chunk
        if isinstance(items, Sequence):
            size = max(1, min(size, -(-len(items) // len(self._workers))))
        with ThreadPoolExecutor(len(self._workers), "worker") as pool:
            for results in ahead(pool, _chunks(items, size), run, 2 * len(self._workers)):
                yield from results

    @property
    def strain(self) -> Strain:
        return sum((worker.strain for worker in self._workers), Strain())

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


class FleetEmbedder(Fleet):
    """The Embedder of the workers' TowerEmbedders."""

    def embed_images(self, images: Sequence[Image | Encoded]) -> np.ndarray:
        return self._matrix("stream_images", images)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._matrix("stream_texts", texts)

    def stream_images(self, images: Iterable[Image | Encoded]) -> Iterator[np.ndarray]:
        return self.spread("stream_images", images)

    def _matrix(self, method: str, items: Sequence[Any]) -> np.ndarray:
        rows = list(self.spread(method, items))
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)


class FleetSpeaker(Fleet):
    """The Speaker of the workers' VlmSpeakers."""

    def stream(self, images: Iterable[Image | Encoded]) -> Iterator[Said]:
        return self.spread("stream", images)


def visible_devices() -> list[dict[str, str]]:
    """The environment of a worker for each CUDA device that this process may use; one empty environment when there is none."""
    import torch

    allowed = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = allowed or [str(number) for number in range(torch.cuda.device_count())]
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names] or [{}]


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    part: list[Any] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
