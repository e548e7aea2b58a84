"""Runs one task on a stranger's file in a child process of its own, so that a crash, a hang or a 10 GB allocation of a
decoder ends that child and nothing else.

The child (khung.video.child) limits itself before it imports a decoder: address space, CPU time, file size, open files, no core
dump, no new privileges, no network, an almost empty environment. Here: start it, listen, stop it in time, and say
what happened as a MediaError. Large results travel as files in a folder, small ones as JSON lines over a pipe.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

from khung.errors import MediaError, Outage

STALL_S = 120.0  # a child that says nothing for so long hangs; it reports at least every second of decoding
MAX_ANSWER_BYTES = 4 * 2**20  # six hours of perceptual hashes are 0.4 MB
MAX_STDERR_BYTES = 4096
LEAVE_S = 5.0  # for a child that has answered to leave by itself

Progress = Callable[[dict], None]


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What the child may use. `wall_s` is watched here, the rest by the kernel."""

    memory_bytes: int = 3 * 2**30
    cpu_s: float = 60.0
    wall_s: float = 120.0
    file_bytes: int = 16 * 2**30
    open_files: int = 64
    stall_s: float = STALL_S


def run(task: str, request: dict, limits: ChildLimits, progress: Progress | None = None) -> dict:
    """The answer of `task` (`module:function`) to `request`, computed in a child. `progress` gets what the task tells.

    Raises MediaError: the task's own, or `decoder_crashed`, `decoder_timeout`, `decoder_memory`.
    """
    order = {"task": task, "request": request, "limits": asdict(limits)}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "khung.video.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        start_new_session=True,
    )
    talk = _Talk(process, limits, progress)
    try:
        talk.send(json.dumps(order).encode())
        talk.listen()
        with suppress(subprocess.TimeoutExpired):  # the answer is there, or it is to be stopped
            process.wait(timeout=0 if talk.stopped else LEAVE_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    return talk.answer(process.returncode)


def _environment() -> dict[str, str]:
    """No secrets of ours, one thread a library, and the way to our own code."""
    return {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


class _Talk:
    """One conversation with one child."""

    def __init__(self, process: subprocess.Popen, limits: ChildLimits, progress: Progress | None) -> None:
        self.process, self.limits, self.progress = process, limits, progress
        self.stopped = ""
        self.result: dict | None = None
        self.error: MediaError | Outage | None = None
        self.stderr = b""
        self._line = b""

    def send(self, order: bytes) -> None:
        with suppress(BrokenPipeError):
            self.process.stdin.write(order)
            self.process.stdin.close()

    def listen(self) -> None:
        """Until the answer is there or both pipes are closed, the child is silent for too long, or its time is over."""
        deadline = time.monotonic() + self.limits.wall_s
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ, self._hear)
            ready.register(self.process.stderr, selectors.EVENT_READ, self._keep_stderr)
            while ready.get_map() and not (self.stopped or self.result or self.error):
                left = min(deadline - time.monotonic(), self.limits.stall_s)
                events = ready.select(left) if left > 0 else []
                if not events:
                    self.stopped = "decoder_timeout"
                for key, _ in events:
                    data = os.read(key.fd, 65536)
                    key.data(data) if data else ready.unregister(key.fileobj)

    def _hear(self, data: bytes) -> None:
        self._line += data
        if len(self._line) > MAX_ANSWER_BYTES:
            self.stopped = "decoder_crashed"
            return
        *lines, self._line = self._line.split(b"\n")
        for line in lines:
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):  # not our protocol: something took over the child
                self.stopped = "decoder_crashed"
                return

    def _take(self, message: dict) -> None:
        if "result" in message:
            self.result = dict(message["result"])
        elif error := message.get("error"):
            self.error = MediaError(str(error["reason"]), str(error["message"]), cure=str(error.get("cure", "")))
        elif outage := message.get("outage"):
            self.error = Outage(str(outage["message"]), cure=str(outage["cure"]))
        else:
            told = dict(message["progress"])
            if self.progress:
                self.progress(told)

    def _keep_stderr(self, data: bytes) -> None:
        self.stderr = (self.stderr + data)[-MAX_STDERR_BYTES:]

    def answer(self, returncode: int) -> dict:
        """The result, or the MediaError that tells how the child ended, or the Outage that it met."""
        if self.error is not None and not self.stopped:
            raise self.error
        if self.result is not None and not self.stopped:
            return self.result
        raise _ending(self.stopped, returncode, self.stderr.decode(errors="replace"))


def _ending(stopped: str, returncode: int, stderr: str) -> MediaError:
    last = stderr.strip().splitlines()[-1:] or [""]
    short = any(said in last[0] for said in _NO_MEMORY)
    reason = stopped or _REASON_OF_SIGNAL.get(-returncode, "decoder_memory" if short else "decoder_crashed")
    return MediaError(reason, f"{_SAID[reason]} {last[0]}".strip(), cure=_CURE[reason])


# How libraries end that ask in vain and do not raise MemoryError: OpenCV, the C++ runtime, the loader of shared libraries, OpenBLAS.
_NO_MEMORY = (
    "(-4:Insufficient memory)",
    "std::bad_alloc",
    "failed to map segment from shared object",
    "OpenBLAS error: Memory allocation still failed",
)
_REASON_OF_SIGNAL = {signal.SIGXCPU: "decoder_timeout", signal.SIGKILL: "decoder_memory"}
_SAID = {
    "decoder_crashed": "The decoder crashed on this file.",
    "decoder_timeout": "The decoder did not come to an end in the time allowed.",
    "decoder_memory": "The decoder asked for more memory than allowed.",
}
_CURE = {
    "decoder_crashed": "Re-encode the video, for instance with ffmpeg -i IN -c:v libx264 OUT.mp4.",
    "decoder_timeout": "Raise KHUNG_MEDIA_CPU_S_PER_VIDEO_S and KHUNG_MEDIA_WALL_S_PER_VIDEO_S if the file is to be trusted.",
    "decoder_memory": "Raise KHUNG_MEDIA_MEMORY_BYTES if the file is to be trusted.",
}
