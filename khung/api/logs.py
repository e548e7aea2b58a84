"""Structured logs of the service: one JSON object a line on standard error, through structlog.

A query's text is never logged: no caller hands it over, and the server's own access log is off (khung.api.guard writes one).
"""

import logging
import sys

import structlog


def configure(level: int = logging.INFO) -> None:
    """Give the `khung` loggers one handler that writes JSON lines. Calling it again changes nothing."""
    logger = logging.getLogger("khung")
    if any(getattr(handler, "khung", False) for handler in logger.handlers):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.khung = True
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
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
