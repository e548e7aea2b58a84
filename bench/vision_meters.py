"""Instruments of bench.vision_models: tokens that a model writes, how busy the GPU is, time and memory around a piece of work."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from khung.vision.vlm import VlmSpeaker


class counting:
    """`with counting(speaker) as written:` the number of tokens of each batch that it writes."""

    def __init__(self, speaker: VlmSpeaker) -> None:
        self._model, self.written = speaker._model, []

    def __enter__(self) -> list[int]:
        plain = self._plain = self._model.generate

        def generate(**inputs: Any) -> Any:
            ids = plain(**inputs)
            self.written.append(ids.shape[1] - inputs["input_ids"].shape[1])
            return ids

        self._model.generate = generate
        return self.written

    def __exit__(self, *_: object) -> None:
        del self._model.generate


class Busy:
    """`with Busy("cuda:0") as busy:` afterwards `busy.share` of the time that the GPU had work, asked of nvidia-smi twice a
    second; None without a GPU."""

    def __init__(self, device: str) -> None:
        self.share: float | None = None
        self._command = (
            [
                "nvidia-smi",
                "--query-gpu=utilization.gpu",
                "--format=csv,noheader,nounits",
                "-i",
                device.partition(":")[2] or "0",
            ]
            if device.startswith("cuda") and shutil.which("nvidia-smi")
            else None
        )
        self._over = threading.Event()
        self._seen: list[float] = []
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Busy":
        if self._command:
            self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._command:
            self._watcher.join()
        self.share = round(sum(self._seen) / len(self._seen) / 100, 2) if self._seen else None

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            told = subprocess.run(self._command or [], capture_output=True, text=True, check=False).stdout.strip()
            self._seen += [float(told)] if told.isdigit() else []


def seconds(work: Callable[[], object], *, cpu: bool = False) -> float:
    import torch

    clock = time.process_time if cpu else time.perf_counter
    synchronise = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    synchronise()
    start = clock()
    work()
    synchronise()
    return clock() - start


def reset_peak(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: str) -> float | None:
    import torch

    return round(torch.cuda.max_memory_allocated(device) / 2**30, 2) if device.startswith("cuda") else None
