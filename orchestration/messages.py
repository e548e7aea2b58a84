"""What people are told of runs, and the sending of it to KHUNG_ALERT_URL. Who tells, and when, is alerts.py and ingest.py."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from khung.settings import Settings
from khung.stores import LedgerEntry

TRIES, PAUSE_S, TIMEOUT_S = 3, 0.5, 2.5
"""10 s at most: a tick of a sensor has 60, and may have five runs to tell of."""

NAMED = 20  # videos in one message

Message = dict[str, Any]
"""`event` (failed, audit, published), `text` for people, and what programs may want beside."""


def failed(job: str, said: str, entries: Sequence[LedgerEntry]) -> Message:
    """A run that failed: what it said, and the ledger's lines of the videos that failed in it."""
    rows = [{"video": e.video_id, "stage": e.stage, "reason": e.reason, "detail": e.detail} for e in entries[:NAMED]]
    lines = [f"• {row['video']} ({row['stage']}): {row['reason']} {row['detail']}" for row in rows]
    return {"event": "failed", "text": "\n".join([f"khung: {job} failed. {said}", *lines]), "videos": rows}


def audited(check: str, found: Mapping[str, str]) -> Message:
    """A check of what is in service that did not pass, with what it found by name."""
    text = f"khung: the audit {check} did not pass. " + "; ".join(f"{name}: {what}" for name, what in found.items())
    return {"event": "audit", "text": text, "check": check, "found": dict(found)}


def published(metadata: Mapping[str, Any]) -> Message:
    """A new snapshot, from the metadata of its materialisation."""
    names = ("snapshot", "videos", "frames", "added", "removed", "search_page")
    told = {name: metadata[name].value for name in names if name in metadata}
    text = (
        f"khung: snapshot {told['snapshot']} is in service: {told['videos']} videos; added {told.get('added', 'none')}. "
        f"{told.get('search_page', '')}".rstrip()
    )
    return {"event": "published", "text": text, **told}


def send(settings: Settings, message: Message, *, job: str, run_id: str = "") -> str:
    """To the address of the settings, if there is one. Empty when it arrived; else what was wrong, for the log: what happened stays
    in Dagster and in the ledger."""
    url = settings.alert_url.get_secret_value()
    wrong = post(url, {**message, "run_id": run_id, "job": job}) if url else ""
    return f"KHUNG_ALERT_URL was not told: {wrong}" if wrong else ""


def post(url: str, body: Mapping[str, Any]) -> str:
    """Empty when it arrived; else what was wrong at the last try, without the address, which may hold a secret."""
    wrong = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * attempt)
        try:
            answer = httpx.post(url, json=body, timeout=TIMEOUT_S, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            wrong = type(error).__name__
            continue
        if answer.is_success:
            return ""
        wrong = f"it answered {answer.status_code}"
        if answer.status_code < 500 and answer.status_code != 429:  # it will not like it better the next time
            return wrong
    return wrong
