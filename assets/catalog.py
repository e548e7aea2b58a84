"""What is to be done next, read from the ledger. No Dagster here: questions to the one truth.

Sensors, `khung ingest` and the assets ask here, so that they agree. Nothing in this file writes.
"""

from collections.abc import Iterable
from dataclasses import replace

from assets.recipe import SEAL_VERSION
from khung.shards.manifest import shard_of
from khung.shards.shelf import Shelf
from khung.stores import BY_INVITATION, MAX_ATTEMPTS, Ledger, LedgerEntry
from khung.stores.waiting import waits_since

READS: dict[str, tuple[str, ...]] = {
    "videos": (),
    "shots": ("videos",),
    "keyframes": ("shots",),
    "preview": ("keyframes",),
    "embeddings": ("keyframes",),
    "descriptions": ("keyframes",),
    "shard_indices": ("embeddings", "descriptions", "preview"),
    "playable_copies": ("videos",),
}
"""What each stage builds on."""

NEEDS = {stage: reads[0] if reads else "" for stage, reads in READS.items()}
"""What must be done before: a video can be sealed, and found by its vectors, before it is described."""

VIDEO_STAGES = tuple(stage for stage in READS if stage != "shard_indices")
TO_SHARD = tuple(stage for stage in VIDEO_STAGES if stage != "playable_copies")
AFTER_PREVIEW = ("embeddings", "descriptions")
"""A video that gets a preview does not wait for these meanwhile."""


class Look:
    """A ledger's lines as they were when first asked for, a stage read once: for who asks much of the same at one moment."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._stages: dict[str, list[LedgerEntry]] = {}

    def find(self, *, stage: str, state: str | None = None) -> list[LedgerEntry]:
        """As a ledger's."""
        if stage not in self._stages:
            self._stages[stage] = self._ledger.find(stage=stage)
        entries = self._stages[stage]
        return entries if state is None else [entry for entry in entries if entry.state == state]


Lines = Ledger | Look


def pending(ledger: Lines, stage: str, in_flight: Iterable[str] = ()) -> list[LedgerEntry]:
    """What makes videos pass this stage now, by id: the video's own line, or the one before when it has none yet.
    `in_flight`: videos that an unfinished run has."""
    own = {entry.video_id: entry for entry in ledger.find(stage=stage)}
    ready = _ready(ledger, stage, own)
    wanted = sorted(v for v in ready.keys() - set(in_flight) if _wanted(own.get(v)))
    return [own.get(video_id, ready[video_id]) for video_id in wanted]


def unready(ledger: Lines, stage: str, video_ids: Iterable[str]) -> set[str]:
    """Those that cannot pass the stage now: a run over them leaves them out."""
    able = _done(ledger, NEEDS[stage]).keys() if NEEDS[stage] else set(video_ids)
    if stage in BY_INVITATION:
        able = able & {entry.video_id for entry in ledger.find(stage=stage)}
    return set(video_ids).difference(able)


def stale(ledger: Lines, stage: str, code_version: str) -> list[str]:
    """The videos whose result was made by another recipe (code, settings or model)."""
    return [e.video_id for e in ledger.find(stage=stage, state="done") if e.code_version != code_version]


def shard_members(ledger: Lines, shard_count: int) -> dict[int, list[str]]:
    """Shard → the videos that belong into it now, by id. A shard without videos is not in it."""
    members: dict[int, list[str]] = {}
    for video_id in sorted(_with_vectors(ledger)):
        members.setdefault(shard_of(video_id, shard_count), []).append(video_id)
    return members


def empty_shards(ledger: Lines, keys: Iterable[str], shard_count: int) -> set[str]:
    """The partitions of shards without videos: a run may lead over them, for there is nothing to seal."""
    members = shard_members(ledger, shard_count)
    return {key for key in keys if int(key) not in members}


def previewed(ledger: Lines) -> set[str]:
    """The videos that can be found by a preview and by nothing more yet. Who had all its vectors once never goes back to it."""
    return _done(ledger, "preview").keys() - _embedded_once(ledger)


def dirty_shards(ledger: Lines, shard_count: int) -> dict[int, str]:
    """The shards whose seal does not hold what the videos' stages have made since → the time of the oldest such result."""
    dirty: dict[int, str] = {}
    for entry in pending(ledger, "shard_indices"):
        shard = shard_of(entry.video_id, shard_count)
        since = waits_since(entry)
        dirty[shard] = min(since, dirty.get(shard, since))
    return dirty


def sealable(ledger: Lines, shard_count: int, patient_until: str) -> dict[int, str]:
    """The dirty shards that may be sealed now. One with a new preview is, for that is what a preview is for; one that is dirty
    since before `patient_until` no longer waits for its new videos; for those in service that are made anew it waits as long
    as it takes, or they would drop out of the search."""
    dirty = dirty_shards(ledger, shard_count)
    if not dirty:
        return {}
    in_service = {entry.video_id for entry in ledger.find(stage="shard_indices") if entry.fingerprint}
    urgent = {shard_of(v, shard_count) for v in previewed(ledger) - in_service}
    stays, lost = _with_vectors(ledger), _made_anew(ledger)
    for video_id in _at_work(ledger):
        shard = shard_of(video_id, shard_count)
        anew = video_id in in_service and (video_id not in stays or video_id in lost)
        if anew or (shard not in urgent and dirty.get(shard, "") > patient_until):
            dirty.pop(shard, None)
    return dirty


def heads(ledger: Lines, shard_count: int) -> dict[int, str]:
    """Shard → the id of its newest seal. A seal stays the newest while its successor is in the making."""
    return {
        shard_of(e.video_id, shard_count): e.fingerprint for e in ledger.find(stage="shard_indices") if e.fingerprint
    }


def in_service(shelf: Shelf) -> list[str]:
    """The ids of the shards in service, sorted; none before the first snapshot."""
    snapshot_id = shelf.current()
    return sorted(ref.shard_id for ref in shelf.manifest(snapshot_id).shards) if snapshot_id else []


def after(stage: str) -> tuple[str, ...]:
    """Every stage that builds on this one, in the order of work."""
    found = [stage]
    for name, read in READS.items():
        if set(read).intersection(found):
            found.append(name)
    return tuple(found[1:])


def outdated(entries: dict[str, LedgerEntry], stage: str) -> list[LedgerEntry]:
    """A video's later stages put back to `waiting`, because the result of `stage` is another one now."""
    return [
        replace(entries[later], state="waiting", reason="", detail=f"{stage} changed", attempt=0)
        for later in after(stage)
        if later in entries and entries[later].state != "linked"
    ]


def _ready(ledger: Lines, stage: str, own: dict[str, LedgerEntry]) -> dict[str, LedgerEntry]:
    """By video: the line that makes it ready for the stage, whether it has passed it or not."""
    if not NEEDS[stage]:
        return own
    before = _done(ledger, NEEDS[stage])
    if stage == "shard_indices":
        previews, there = _done(ledger, "preview"), previewed(ledger)
        return {video_id: previews[video_id] for video_id in there} | before
    if stage == "preview":
        return {v: before[v] for v in own.keys() & before.keys() - _embedded_once(ledger)}
    if stage in BY_INVITATION:
        return {v: before[v] for v in own.keys() & before.keys()}
    if stage in AFTER_PREVIEW:
        first = {entry.video_id for entry in pending(ledger, "preview")}
        return {v: entry for v, entry in before.items() if v not in first}
    return before


def _done(ledger: Lines, stage: str) -> dict[str, LedgerEntry]:
    return {entry.video_id: entry for entry in ledger.find(stage=stage, state="done")}


def _with_vectors(ledger: Lines) -> set[str]:
    return _done(ledger, "embeddings").keys() | previewed(ledger)


def _embedded_once(ledger: Lines) -> set[str]:
    return {entry.video_id for entry in ledger.find(stage="embeddings") if entry.fingerprint}


def _at_work(ledger: Lines) -> set[str]:
    """The videos that are on their way to a shard."""
    found = {entry.video_id for stage in TO_SHARD for entry in pending(ledger, stage)}
    return found | {entry.video_id for stage in TO_SHARD for entry in ledger.find(stage=stage, state="running")}


def _made_anew(ledger: Lines) -> set[str]:
    """Those that have lost a result that they had; for the others there is only more to come."""
    entries = (entry for stage in TO_SHARD for entry in ledger.find(stage=stage))
    return {entry.video_id for entry in entries if entry.fingerprint and entry.state != "done"}


def _wanted(entry: LedgerEntry | None) -> bool:
    if entry is None or entry.state == "waiting" or _of_another_version(entry):
        return True
    return entry.state == "running" and entry.attempt < MAX_ATTEMPTS


def _of_another_version(entry: LedgerEntry) -> bool:
    """A seal that this khung cannot search. Sealing again embeds nothing anew, so nobody need ask for it."""
    sealed = entry.stage == "shard_indices" and entry.state == "done"
    return sealed and entry.code_version not in ("", SEAL_VERSION)
