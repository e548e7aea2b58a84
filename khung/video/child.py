"""The child's side of the sandbox: `python -m khung.video.child`, an order on stdin, JSON lines on stdout.

It locks itself in *before* it imports anything that looks at media. A task is a function `(request, tell) -> dict`;
`tell` sends progress. Nothing here knows video; numpy, cv2 and av are imported by the tasks.
"""

import ctypes
import errno
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable

from khung.errors import MediaError

Tell = Callable[[dict], None]

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def main() -> None:
    """Read the order, lock up, work, answer."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not reach the pipe of answers
    order = json.loads(sys.stdin.buffer.read())

    def say(message: dict) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    network = lock(order["limits"])
    try:
        module, function = order["task"].split(":")
        task = getattr(importlib.import_module(module), function)
        say({"result": {**task(order["request"], lambda told: say({"progress": told})), "network": network}})
    except MediaError as error:
        say({"error": {"reason": error.reason, "message": error.message, "cure": error.cure}})
    except MemoryError:
        say({"error": {"reason": "decoder_memory", "message": "The decoder asked for more memory than allowed."}})
    except OSError as error:
        said = f"The decoded frames cannot be kept: {error.strerror}."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # the machine's fault, and not the video's
            say({"outage": {"message": said, "cure": f"Make room in {tempfile.gettempdir()}, or set TMPDIR."}})
        elif error.errno == errno.EFBIG:
            say({"error": {"reason": "decoder_output", "message": said}})
        else:
            raise


def lock(limits: dict) -> str:
    """Apply the limits to this process. Returns `none` when it has no network, `shared` where the kernel forbids to drop it."""
    _cap(resource.RLIMIT_AS, limits["memory_bytes"])
    cpu_s = max(1, int(limits["cpu_s"]))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 2))  # SIGXCPU, and SIGKILL for who ignores it
    _cap(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _cap(resource.RLIMIT_NOFILE, limits["open_files"])
    _cap(resource.RLIMIT_CORE, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    alone = any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWUSER | _CLONE_NEWNET, _CLONE_NEWNET))
    return "none" if alone else "shared"


def _cap(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
