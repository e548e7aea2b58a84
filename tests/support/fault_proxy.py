"""An HTTP proxy on 127.0.0.1 that passes requests on to one server and spoils some of the answers."""

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Spoil = Callable[[random.Random, str], str]
"""`(random numbers, request line) → what to do`: `` (nothing), `503`, `500`, `cut` (breaks off), `short` (a shorter body with a
matching length), `flip` (one bit), `garbage` (something that is no JSON), `slow` (two seconds late), `lost`
(done, but answered with 503), `partial` (an answer of OpenSearch in which one of its shards is said to have failed)."""


@contextmanager
def fault_proxy(port: int, spoil: Spoil, seed: int = 0) -> Iterator[int]:
    """The proxy's port, in front of 127.0.0.1:`port`."""
    numbers, lock = random.Random(seed), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                what = spoil(numbers, f"{self.command} {self.path}")
            if what.isdigit():
                return self.answer(int(what), b"<Error><Code>SlowDown</Code><Message>spoilt</Message></Error>", {})
            if what == "garbage":
                return self.answer(200, b"<html>not what you asked for", {"Content-Type": "application/json"})
            if what == "slow":
                time.sleep(2)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if (what, name.lower()) != ("partial", "accept-encoding"):  # what is to be changed must be readable
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            data = response.read()
            headers = {
                k: v
                for k, v in response.getheaders()
                if k.lower() not in ("content-length", "transfer-encoding", "connection")
            }
            length = response.getheader("Content-Length") if self.command == "HEAD" else None
            connection.close()
            self.spoilt(what, response.status, data, headers, length)

        def spoilt(self, what: str, status: int, data: bytes, headers: dict[str, str], length: str | None) -> None:
            if what == "lost":
                return self.answer(503, b"", {})
            if what == "flip" and data:
                data = data[:-1] + bytes([data[-1] ^ 1])
            if what == "partial":
                data = data.replace(b'"failed":0', b'"failed":1')
            if what == "short":
                data = data[: len(data) // 2]
            if what == "cut" and data:
                self.answer(status, data[: len(data) // 2], headers, length=str(len(data)))
                self.close_connection = True
                return
            self.answer(status, data, headers, length=length)

        def answer(self, status: int, data: bytes, headers: dict[str, str], length: str | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def now_and_then(what: str, share: float) -> Spoil:
    return lambda numbers, _: what if numbers.random() < share else ""


def reads(what: str) -> Spoil:
    """Every body of a GET for an object; not the questions about the bucket."""
    return lambda _, line: what if line.startswith("GET ") and "?" not in line else ""
