"""The team's answer list: one SQLite file that all operators of a khung share and that survives reloads and restarts.

An answer stands once in a task's list, whoever proposes it, so it is sent once: `claim` hands it to one operator only.
What does not live here: judging a draft against the list (review), sending (sending), logging in (sessions).
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from khung.contest.dres import TaskNow
from khung.contest.submission import Answer, Draft
from khung.errors import AlreadySent, NotFound, StoreError, SubmissionRejected

State = Literal["proposed", "sending", "sent", "refused", "unknown"]
"""`sent` has a verdict; `refused` did not count; `unknown` may have counted: nobody saw the server's answer."""

_VERSION = 2
_SCHEMA = """
CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    evaluation_id TEXT NOT NULL,
    task TEXT NOT NULL,
    task_id TEXT NOT NULL,
    task_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    item_name TEXT NOT NULL,
    video_id TEXT NOT NULL,
    frames TEXT NOT NULL,
    times_ms TEXT NOT NULL,
    answer TEXT NOT NULL,
    by TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'proposed',
    verdict TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    sent_by TEXT NOT NULL DEFAULT '',
    changed_ms INTEGER NOT NULL,
    UNIQUE (evaluation_id, task, answer)
) STRICT;
CREATE TABLE seats (
    token_hash TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    username TEXT NOT NULL,
    session TEXT NOT NULL,
    evaluation_id TEXT NOT NULL
) STRICT;
"""
_TASKS = """
CREATE TABLE tasks (
    evaluation_id TEXT NOT NULL,
    name TEXT NOT NULL,
    task_id TEXT NOT NULL,
    PRIMARY KEY (evaluation_id, name)
) STRICT
"""
_LOST_MS = 60_000
"""An answer that is `sending` for longer was left by a khung that stopped: no request takes that long."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer of the team's list. Times are milliseconds since 1970."""

    id: int
    evaluation_id: str
    task: str  # TaskNow.key
    task_id: str
    task_name: str
    kind: str
    item_name: str
    video_id: str
    frames: tuple[int, ...]
    times_ms: tuple[int, ...]
    answer: Answer
    by: str
    at_ms: int
    state: State
    verdict: str  # wire.VerdictStatus when sent, or empty
    message: str  # the server's words
    sent_by: str
    changed_ms: int


class Team:
    """The list in the file `path`. Every call opens the file anew: safe from any thread and process."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)  # it holds sessions
        with self.changing() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StoreError(f"{self.path} was written by a newer khung.", cure="Update khung.")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
            if version < _VERSION:
                db.execute(_TASKS)
                db.execute(f"PRAGMA user_version = {_VERSION}")

    def propose(self, now: TaskNow, draft: Draft, by: str) -> Entry:
        """Put a draft on the list of the running task. An answer that stands there already is given back as it is."""
        if not now.key:
            raise SubmissionRejected("No task is running.", cure="Wait for the task.").known_as("no_task")
        values = {
            "evaluation_id": now.evaluation_id,
            "task": now.key,
            "task_id": now.task_id,
            "task_name": now.name,
            "kind": draft.kind,
            "item_name": draft.item_name,
            "video_id": draft.video_id,
            "frames": json.dumps(draft.frames),
            "times_ms": json.dumps(draft.times_ms),
            "answer": json.dumps(asdict(draft.answer), ensure_ascii=False),
            "by": by,
            "at_ms": _now_ms(),
            "changed_ms": _now_ms(),
        }
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        same = "evaluation_id = :evaluation_id AND task = :task AND answer = :answer"
        with self.changing() as db:
            db.execute(f"INSERT INTO answers ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", values)
            return _entry(db.execute(f"SELECT * FROM answers WHERE {same}", values).fetchone())

    def entries(self, evaluation_id: str, task: str | None = None) -> list[Entry]:
        """The list of one task, or of the whole evaluation; in the order of proposal."""
        condition = "evaluation_id = ? AND coalesce(task = ?, 1)"
        with self.changing() as db:
            rows = db.execute(f"SELECT * FROM answers WHERE {condition} ORDER BY id", (evaluation_id, task))
            return [_entry(row) for row in rows]

    def entry(self, entry_id: int) -> Entry:
        with self.changing() as db:
            return _one(db, entry_id)

    def claim(self, entry_id: int, by: str, *, again: bool = False) -> Entry:
        """Mark it as being sent by this operator alone. Raises AlreadySent; `again` sends a second time on purpose."""
        with self.changing() as db:
            entry = _one(db, entry_id)
            if entry.state == "sending" or (entry.state in ("sent", "unknown") and not again):
                error = AlreadySent(
                    f"{entry.sent_by} has sent this answer: {entry.verdict or entry.state}.",
                    cure="Send it again only on purpose: a wrong answer costs points each time.",
                )
                raise error.known_as("already_sent", by=entry.sent_by)
            _change(db, entry_id, "sending", "", "")
            db.execute("UPDATE answers SET sent_by = ? WHERE id = ?", (by, entry_id))
            return _one(db, entry_id)

    def settle(self, entry_id: int, state: State, verdict: str = "", message: str = "") -> None:
        """What became of a claimed answer."""
        with self.changing() as db:
            _change(db, entry_id, state, verdict, message)

    def drop(self, entry_id: int) -> None:
        """Take a proposal off the list. What may have counted stays: AlreadySent."""
        with self.changing() as db:
            if _one(db, entry_id).state not in ("proposed", "refused"):
                raise AlreadySent("This answer was sent; it stays on the list.").known_as("sent_stays")
            db.execute("DELETE FROM answers WHERE id = ?", (entry_id,))

    # -- what the server last told of its tasks, for every operator and worker

    def saw_task(self, evaluation_id: str, name: str, task_id: str) -> None:
        with self.changing() as db:
            db.execute("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?)", (evaluation_id, name, task_id))

    def last_task_id(self, evaluation_id: str, name: str) -> str:
        of = (evaluation_id, name)
        with self.changing() as db:
            row = db.execute("SELECT task_id FROM tasks WHERE evaluation_id = ? AND name = ?", of).fetchone()
        return row["task_id"] if row else ""

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else writes in."""
        try:
            with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as db, db:
                db.row_factory = sqlite3.Row
                db.execute("BEGIN IMMEDIATE")
                yield db
        except sqlite3.Error as error:
            raise StoreError(f"The team's list {self.path}: {error}.", cure="Check the disk and the file.") from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _change(db: sqlite3.Connection, entry_id: int, state: State, verdict: str, message: str) -> None:
    sql = "UPDATE answers SET state = ?, verdict = ?, message = ?, changed_ms = ? WHERE id = ?"
    db.execute(sql, (state, verdict, message, _now_ms(), entry_id))


def _one(db: sqlite3.Connection, entry_id: int) -> Entry:
    row = db.execute("SELECT * FROM answers WHERE id = ?", (entry_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no answer {entry_id} on the team's list.", cure="Reload the list.").known_as(
            "no_answer"
        )
    return _entry(row)


def _entry(row: sqlite3.Row) -> Entry:
    values = dict(row)
    for name in ("frames", "times_ms"):
        values[name] = tuple(json.loads(values[name]))
    values["answer"] = Answer(**json.loads(values["answer"]))
    if values["state"] == "sending" and _now_ms() - values["changed_ms"] > _LOST_MS:
        values["state"] = "unknown"
    return Entry(**values)
