"""A real HTTP server with the OpenAI API's shape that does what a script says: answers, stalls, breaks, lies."""

import base64
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

Mood = Callable[["_Handler", dict], None]


class MoodyServer:
    """`with MoodyServer([fail(500), good]) as server:` each request takes the next mood; the last one stays."""

    def __init__(self, moods: list[Mood]) -> None:
        self.moods = list(moods)
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        self.times: list[float] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        self.over = threading.Event()
        server = self

        class Handler(_Handler):
            moody = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # clients that hang up are the point
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def next_mood(self, request: dict, headers: dict) -> Mood:
        with self._lock:
            self.requests.append(request)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            return self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]

    def busy(self, change: int) -> None:
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)

    def __enter__(self) -> "MoodyServer":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    moody: MoodyServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(body)

    def do_GET(self) -> None:
        self._answer({})

    def _answer(self, body: dict) -> None:
        self.moody.busy(1)
        try:
            self.moody.next_mood(body, dict(self.headers))(self, body)
        finally:
            self.moody.busy(-1)

    def say(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"content_length": str(len(data))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


ANSWER = {
    "caption": {"vi": "Một con phố.", "en": "A street."}, "text_in_image": ["PHỐ"], "objects": ["car"], "actions": [],
    "emotions": [], "colors": ["red"], "scene_type": "street", "time_of_day": "day", "weather": "unknown",
    "location_type": "outdoor",
}  # fmt: skip


def completion(text: str, **choice) -> bytes:
    tokens = {"content": [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.3}]}
    whole = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": tokens} | choice
    return json.dumps({"id": "x", "choices": [whole]}).encode()


def good(handler: _Handler, body: dict) -> None:
    handler.say(200, completion(json.dumps(ANSWER)))


def colour(handler: _Handler, body: dict) -> None:
    """The caption tells the mean colour of the picture that was sent: whether it arrived, and whose answer this is."""
    from PIL import Image

    url = body["messages"][1]["content"][0]["image_url"]["url"]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))
    caption = {"vi": "Màu", "en": str(round(picture.mean() / 10))}
    time.sleep(0.02 * ((int(picture.mean()) // 10) % 3))  # answers come back out of order
    handler.say(200, completion(json.dumps(ANSWER | {"caption": caption})))


def says(text: str, **choice) -> Mood:
    return lambda handler, body: handler.say(200, completion(text, **choice))


def sends(data: bytes, status: int = 200, **headers: str) -> Mood:
    return lambda handler, body: handler.say(status, data, **headers)


def fail(status: int, **headers: str) -> Mood:
    return sends(b'{"error": "no"}', status, **headers)


def slow(seconds: float) -> Mood:
    def mood(handler: _Handler, body: dict) -> None:
        handler.moody.over.wait(seconds)
        good(handler, body)

    return mood


def drip(handler: _Handler, body: dict) -> None:
    """A byte at a time, for ever: every single read is in time."""
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    while not handler.moody.over.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def truncated(handler: _Handler, body: dict) -> None:
    """Half of what was announced, then the connection ends."""
    data = completion(json.dumps(ANSWER))
    handler.send_response(200)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def reset(handler: _Handler, body: dict) -> None:
    """The connection is torn down without a word."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def floods(handler: _Handler, body: dict) -> None:
    handler.send_response(200)
    handler.send_header("content-length", str(1 << 40))
    handler.end_headers()
    while not handler.moody.over.is_set():
        handler.wfile.write(b" " * (1 << 16))
