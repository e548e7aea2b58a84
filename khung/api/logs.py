"""Structured logs of the service: one JSON object a line on standard error.

Lines are put together where something happens and written by a thread of their own, many at once: who reads them slowly, or not
at all, holds up no request. A query's text is never logged: no caller hands it over, and the server's own access log is off.
"""

import atexit
import logging
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TextIO

import orjson
import structlog

_TOGETHER_S = 0.05  # lines of so long are written at once
_PATIENCE_S = 2.0
_WAITING = 10_000  # lines; what comes when so many wait is dropped and counted
_ACCESS = logging.getLogger("khung.api.access")


_EVER_THE_SAME = vars(logging.LogRecord(_ACCESS.name, logging.INFO, "", 0, "request", None, None))


class RequestRecord(logging.LogRecord):
    """One request, as cheap as a record can be made: it is written far more often than any other. It knows when, and not in which
    thread of which process it was made."""

    def __init__(self, method: str, route: str, status: int, took_ms: float) -> None:
        at = time.time()
        vars(self).update(
            _EVER_THE_SAME, created=at, msecs=at % 1 * 1000, method=method, route=route, status=status, took_ms=took_ms
        )

    def line(self) -> str:
        told = {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "took_ms": self.took_ms,
            "event": "request",
            "level": "info",
            "timestamp": datetime.fromtimestamp(self.created, UTC),
        }
        return orjson.dumps(told, option=orjson.OPT_UTC_Z).decode()


def request(method: str, route: str, status: int, seconds: float) -> None:
    """Log one request by its route's template."""
    if _ACCESS.isEnabledFor(logging.INFO):
        _ACCESS.handle(RequestRecord(method, route, status, round(seconds * 1000, 1)))


class Lines(logging.Handler):
    """Lines wait here for the thread that writes them, and are written before the process ends."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._waiting: deque[str | RequestRecord] = deque()
        self._dropped = 0
        self._something, self._writing = threading.Event(), threading.Lock()
        threading.Thread(target=self._write_for_ever, name="khung-logs", daemon=True).start()
        atexit.register(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._waiting) >= _WAITING:
            self._dropped += 1
            return
        try:  # of a request nothing can change any more: the thread that writes its line makes it, many together
            self._waiting.append(record if isinstance(record, RequestRecord) else self.format(record))
        except (TypeError, ValueError, KeyError, AttributeError):
            return self.handleError(record)
        if not self._something.is_set():
            self._something.set()

    def flush(self) -> None:
        """Write what waits; nothing when the writing thread is held up by who reads the log."""
        if not self._writing.acquire(timeout=_PATIENCE_S):
            return
        try:
            self._write()
        except (OSError, ValueError):
            pass  # the disk is full, or nobody reads any more: searches go on
        finally:
            self._writing.release()

    def _write(self) -> None:
        lines = []
        while self._waiting:
            line = self._waiting.popleft()
            lines.append(line.line() if isinstance(line, RequestRecord) else line)
        if dropped := self._dropped:
            self._dropped -= dropped
            lines.append(f'{{"event": "log_lines_dropped", "level": "warning", "lines": {dropped}}}')
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def _write_for_ever(self) -> None:
        while True:
            self._something.wait()
            time.sleep(_TOGETHER_S)
            self._something.clear()
            self.flush()


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.line() if isinstance(record, RequestRecord) else super().format(record)


def configure(level: int = logging.INFO) -> None:
    """Give the `khung` loggers one handler that writes JSON lines. Calling it again changes nothing."""
    logger = logging.getLogger("khung")
    if any(isinstance(handler, Lines) for handler in logger.handlers):
        return
    handler = Lines()
    handler.setFormatter(_formatter())
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


def _formatter() -> logging.Formatter:
    shared = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return _Formatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
