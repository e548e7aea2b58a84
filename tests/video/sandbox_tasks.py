"""What a decoder taken over by a hostile file might do. Each runs in the sandboxed child (see test_sandbox.py)."""

import ctypes
import errno
import os
import socket
import time
from pathlib import Path

from khung.errors import MediaError


def echo(request, tell):
    tell({"frames": 1})
    return {"heard": request}


def refuse(request, tell):
    raise MediaError("no_frames", "Nothing.", cure="Try another.")


def segfault(request, tell):
    ctypes.string_at(0)


def hang(request, tell):
    time.sleep(3600)


def chatter_forever(request, tell):
    while True:
        tell({"frames": 1})
        time.sleep(0.02)


def burn(request, tell):
    while True:
        pass


def allocate_in_opencv(request, tell):
    import cv2
    import numpy as np

    cv2.resize(np.zeros((2, 2, 3), np.uint8), (60_000, 60_000))


def allocate(request, tell):
    return {"bytes": len(bytearray(10 * 2**30))}


def fill_disk(request, tell):
    with Path(request["path"]).open("wb") as file:
        while True:
            file.write(bytes(2**20))


def find_no_room(request, tell):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def flood(request, tell):
    while True:
        tell({"text": "x" * 8_000_000})


def call_home(request, tell):
    with socket.socket() as wire:
        wire.settimeout(5)
        wire.connect(("127.0.0.1", request["port"]))
        return {"sent": wire.send(b"secret")}


def environment(request, tell):
    return {"names": sorted(os.environ)}


def babble(request, tell):
    tell(["not", "an", "answer"])
    return {}


def crash_on_leaving(request, tell):
    import atexit

    atexit.register(os.abort)
    return {"kept": True}


def vanish(request, tell):
    os._exit(0)


def leave_a_child(request, tell):
    pid = os.fork()
    if pid == 0:
        time.sleep(3600)
    return {"pid": pid}
