"""The snapshot in service: opened beside the old one, swapped by one reference, closed when its last request has ended.

What lives here: the pointer poll and the counting of readers. What does not: searching, HTTP, publishing.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from khung.api.resident import Resident
from khung.errors import CorruptError, CursorExpired, KhungError, NotFound, SearchUnavailable
from khung.metrics import INDEXED, OPENED_SECONDS, REFUSED, SNAPSHOT
from khung.search.assembly import engine_of
from khung.search.encoders import QueryEncoders
from khung.search.engine import Engine
from khung.shards.pointer import Move
from khung.shards.shelf import Shelf

log = logging.getLogger("khung.api")

_PATIENCE_S = 5.0  # until the end of the service no longer waits for a step of warming
RETRY_S = 30.0  # until a refused snapshot, or an encoder that could not be loaded, is tried again


class Serving:
    """Thread-safe. `refresh` may be called from any thread, `borrow` from all of them."""

    def __init__(self, shelf: Shelf, encoders: QueryEncoders, *, linger_s: float = 0.0) -> None:
        self._encoders = encoders
        self._linger_s = linger_s
        self._older: Resident | None = None  # the one replaced last, for cursors: at most two snapshots are open
        self._opening = threading.Lock()
        self._refreshing = threading.Lock()  # one at a time: two would open the same snapshot twice
        self.rejected = ""
        self._shelf = shelf
        self._lock = threading.Lock()
        self._resident: Resident | None = None
        self._closed = False
        self._warming: list[threading.Thread] = []
        self._refused: tuple[str | None, float] = (None, 0.0)

    @property
    def snapshot_id(self) -> str | None:
        resident = self._resident
        return resident.snapshot.id if resident else None

    @property
    def fingerprint(self) -> str:
        """Of the encoder that asks the snapshot's own vectors; empty while there is none."""
        resident = self._resident
        return resident.fingerprint if resident else ""

    @property
    def ranking(self) -> str:
        """What orders hits beyond the default, so that servers of other settings share no answers."""
        resident = self._resident
        return resident.engine.ranking if resident else ""

    @contextlib.contextmanager
    def borrow(self, snapshot_id: str = "") -> Iterator[Resident]:
        """The snapshot in service, or that one as long as it is kept, held open until the block ends.

        Raises SearchUnavailable, and CursorExpired for a snapshot that is no longer kept.
        """
        resident = self._take(snapshot_id) or self._reopen(snapshot_id)
        try:
            yield resident
        finally:
            with self._lock:
                resident.readers -= 1
            self._close_if_idle(resident)

    def _take(self, snapshot_id: str) -> Resident | None:
        """An open one, counted as read; None when that snapshot is not open."""
        with self._lock:
            resident = self._resident
            if resident is None:
                error = SearchUnavailable(
                    self.rejected or "No snapshot is published yet.", cure="Ingest videos: khung ingest FILE…"
                )
                raise error.known_as("snapshot_rejected" if self.rejected else "no_snapshot")
            if snapshot_id and resident.snapshot.id != snapshot_id:
                resident = self._older
            if resident is None or (snapshot_id and resident.snapshot.id != snapshot_id):
                return None
            resident.readers += 1
            resident.used_at = time.monotonic()
            return resident

    def _reopen(self, snapshot_id: str) -> Resident:
        """An older snapshot that the shelf still keeps, in place of the older one that was open."""
        with self._opening:
            if resident := self._take(snapshot_id):
                return resident
            try:
                resident = self._open_older(snapshot_id)
            except (NotFound, CorruptError) as error:
                raise CursorExpired(
                    f"The snapshot {snapshot_id} is no longer kept.", cure="Ask the first page again."
                ) from error
            resident.readers, resident.used_at = 1, time.monotonic()
            self._set_older(resident)
            return resident

    def _open_older(self, snapshot_id: str) -> Resident:
        """Only with the encoder that is there: a second large model for an old page would not be worth its memory."""
        now = self._resident
        if now and self._shelf.manifest(snapshot_id).embed_fingerprint != now.snapshot.fingerprint:
            raise NotFound("That snapshot was made with another model.")
        return self._open(snapshot_id)

    def history(self) -> list[Move]:
        """Every move of the pointer, oldest first. Raises StoreError."""
        return self._shelf.history()

    def sweep(self) -> None:
        """Let go of the older snapshot when no cursor has asked for it for a while."""
        older = self._older
        if older and time.monotonic() - older.used_at > self._linger_s:
            self._set_older(None, only=older)

    def _set_older(self, new: Resident | None, only: Resident | None = None) -> None:
        with self._lock:
            old = self._older
            if (old is None and new is None) or (only and old is not only):
                return
            self._older = new
            if old:
                old.retired = True
        if old:
            self._close_if_idle(old)

    def refresh(self) -> bool:
        """Look at the pointer; open and swap when it moved. True when a new snapshot went into service.

        A snapshot that cannot be opened is refused, with the reason kept, and tried again after a while; the old one
        goes on serving. When the pointer cannot be read, so does what this machine has. An encoder that could not be
        loaded is looked for again after a while; the text channels answer meanwhile.
        """
        with self._refreshing:
            return self._refresh()

    def _refresh(self) -> bool:
        if self._closed:
            return False
        wanted = None
        try:
            wanted = self._wanted()
            if wanted is not None and wanted == self.snapshot_id:
                self._look_for_encoders()
                return False
            if wanted is None or self._lately_refused(wanted):
                return False
            began = time.perf_counter()
            self._swap(self._open(wanted))
            OPENED_SECONDS.set(time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - whatever it is, a lack of memory too, the old one goes on serving
            self._refuse(wanted, error)
            return False
        self._begin_warming()
        return True

    def close(self) -> None:
        """Take the snapshot out of service for good; running requests keep theirs.

        Waits for the step of warming that is under way: a thread that Python ends inside a native library may take the process with it.
        """
        self._closed = True
        until = time.monotonic() + _PATIENCE_S
        for thread in self._warming:
            thread.join(max(until - time.monotonic(), 0.0))
        self._swap(None)
        self._set_older(None)

    def _wanted(self) -> str | None:
        try:
            wanted = self._shelf.follow()
        except (KhungError, OSError) as error:
            if self._resident:
                raise
            self._refuse(None, error)
            return self._shelf.here()
        if wanted == self.snapshot_id:
            self.rejected = ""
        return wanted

    def _open(self, snapshot_id: str) -> Resident:
        """With the encoders of *its* vectors: another snapshot may have been made by another model."""
        snapshot = self._shelf.open(snapshot_id)
        try:
            return Resident(snapshot, engine_of(self._encoders.settings, snapshot, self._encoders.of))
        except BaseException:
            snapshot.close()
            raise

    def _look_for_encoders(self) -> None:
        """Once in a while, when one was missing: somebody may have fetched the model or freed the memory."""
        resident = self._resident
        if resident and not all(resident.engine.encoders.values()) and time.monotonic() - resident.since > RETRY_S:
            resident.since = time.monotonic()
            engine = engine_of(self._encoders.settings, resident.snapshot, self._encoders.of)
            if engine.encoders != resident.engine.encoders:
                self._warm(engine)
                resident.engine = engine

    def _begin_warming(self) -> None:
        """What the first questions would wait for, while they are already answered."""
        warming = threading.Thread(target=self._warm_what_serves, name="khung-warm", daemon=True)
        try:
            warming.start()
        except RuntimeError as error:  # there is no room for another thread
            log.warning("warming_failed", extra={"reason": str(error)})
            return
        self._warming = [*(thread for thread in self._warming if thread.is_alive()), warming]

    def _warm_what_serves(self) -> None:
        with contextlib.suppress(SearchUnavailable), self.borrow() as resident:  # it may be out of service already
            self._warm(resident.engine)

    def _warm(self, engine: Engine) -> None:
        """Whatever fails in it, a lack of memory too, is only logged: unwarmed an engine answers as well, only later."""
        try:
            engine.warm(self._has_ended)
        except Exception as error:
            unforeseen = None if isinstance(error, KhungError) else error
            log.warning("warming_failed", extra={"reason": str(error)}, exc_info=unforeseen)

    def _has_ended(self) -> bool:
        return self._closed

    def _swap(self, new: Resident | None) -> None:
        with self._lock:
            if new and self._closed:  # it was on its way when the service ended
                return new.snapshot.close()
            old, self._resident = self._resident, new
            lingers = bool(old and new and self._linger_s) and old.snapshot.fingerprint == new.snapshot.fingerprint
            if old and not lingers:
                old.retired = True
        if old and lingers:
            old.used_at = time.monotonic()
            self._set_older(old)
        elif old:
            self._close_if_idle(old)
        if new:
            self._announce(new)

    def _announce(self, new: Resident) -> None:
        self.rejected = ""
        self._encoders.keep(new.engine.encoders)
        SNAPSHOT.snapshot_id = new.snapshot.id
        INDEXED.set(len(new.snapshot.records))
        log.info("snapshot_in_service", extra={"snapshot": new.snapshot.id})

    def _refuse(self, snapshot_id: str | None, error: Exception) -> None:
        told = " ".join(error.told).strip() if isinstance(error, KhungError) else type(error).__name__
        if self.rejected != told:
            unforeseen = None if isinstance(error, KhungError) else error  # then where it happened is worth knowing
            log.error("snapshot_refused", extra={"snapshot": snapshot_id, "reason": str(error)}, exc_info=unforeseen)
        REFUSED.inc()
        self.rejected, self._refused = told, (snapshot_id, time.monotonic())

    def _lately_refused(self, snapshot_id: str) -> bool:
        refused_id, at = self._refused
        return snapshot_id == refused_id and time.monotonic() - at < RETRY_S

    def _close_if_idle(self, resident: Resident) -> None:
        """Close exactly once, when retired and nobody reads."""
        with self._lock:
            if not resident.retired or resident.readers:
                return
            resident.readers = -1
        resident.snapshot.close()
