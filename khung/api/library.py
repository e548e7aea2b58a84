"""The library as people see it: the ledger's stages of every video folded into one state."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from khung.api import present
from khung.api.schemas import LibraryVideoOut, StageOut, VideoOut
from khung.api.service import Service
from khung.errors import SearchUnavailable
from khung.records import Video
from khung.stores import ALL_STAGES, BY_INVITATION, LedgerEntry
from khung.text import fold, norm

STATES = ("failed", "running", "waiting", "preview", "linked", "searchable")  # what needs eyes comes first
PER_PAGE = 100


def library_video(service: Service, video_id: str, entries: Iterable[LedgerEntry]) -> LibraryVideoOut:
    """One video with its stages."""
    return _video(video_id, list(entries), _searchable(service).get(video_id))


@dataclass(frozen=True, slots=True)
class Section:
    """Some of the library's videos, by id, and how many there are of each state and of those that were asked for."""

    videos: list[LibraryVideoOut]
    counts: dict[str, int]
    total: int


def section(service: Service, state: str, name: str, offset: int, limit: int) -> Section:
    """Those in `state` (all when empty) whose id or file's name holds every word of `name`, whatever the marks. The ledger's lines
    are read of those that are shown."""
    words = fold(norm(name)).split()
    passed, searchable = service.ledger.states(), _searchable(service)
    ids = sorted(passed.keys() | searchable.keys())
    state_of = {one: _state(passed.get(one, frozenset()), searchable.get(one)) for one in ids}
    asked = [one for one in ids if state in ("", state_of[one]) and _holds(one, searchable.get(one), words)]
    shown = asked[offset : offset + limit]
    lines: dict[str, list[LedgerEntry]] = {}
    for entry in service.ledger.find(videos=shown):
        lines.setdefault(entry.video_id, []).append(entry)
    counts = Counter(state_of.values())
    return Section(
        [_video(one, lines.get(one, []), searchable.get(one)) for one in shown],
        {one: counts[one] for one in STATES if counts[one] or one == state},
        len(asked),
    )


@dataclass(frozen=True, slots=True)
class Shelf:
    """A page of the library: a section of it, and what the snapshot knows of these videos."""

    entries: list[LibraryVideoOut]
    known: dict[str, VideoOut]
    counts: dict[str, int]
    total: int
    state: str
    name: str
    page: int

    def url(self, **changes: object) -> str:
        values = {"state": self.state, "name": self.name, "page": 1} | changes
        kept = {key: value for key, value in values.items() if value not in ("", 1)}
        return "/library" + ("?" + urlencode(kept) if kept else "")

    @property
    def next_url(self) -> str:
        return self.url(page=self.page + 1) if self.total > self.page * PER_PAGE else ""

    @property
    def previous_url(self) -> str:
        return self.url(page=self.page - 1) if self.page > 1 else ""


def shelf_of(service: Service, state: str, name: str, page: int) -> Shelf:
    """A page as `section` chooses it."""
    shown = section(service, state, name, (page - 1) * PER_PAGE, PER_PAGE)
    known = _known(service, [video.video_id for video in shown.videos])
    return Shelf(shown.videos, known, shown.counts, shown.total, state, name, page)


def _holds(video_id: str, served: Video | None, words: list[str]) -> bool:
    if not words:
        return True
    name = fold(norm(f"{video_id} {served.source_name if served else ''}"))
    return all(word in name for word in words)


def copied(service: Service, videos: Sequence[Video]) -> set[str]:
    """Those of the videos of which there is a copy that browsers play. Asks nothing when they all play as they are."""
    wanted = {video.video_id for video in videos if not video.playable}
    if not wanted:
        return set()
    return wanted.intersection(e.video_id for e in service.ledger.find(stage="playable_copies", state="done"))


def _searchable(service: Service) -> dict[str, Video]:
    try:
        with service.serving.borrow() as here:
            return {video.video_id: video for video in here.snapshot.records.videos()}
    except SearchUnavailable:
        return {}  # nothing published yet: the table still tells what is under way


def _known(service: Service, ids: list[str]) -> dict[str, VideoOut]:
    try:
        with service.serving.borrow() as here:
            videos = {video.video_id: video for video in here.snapshot.records.videos()}
            plays = copied(service, [videos[name] for name in ids if name in videos])
            return {name: present.video(videos[name], here.gist(name), plays) for name in ids if name in videos}
    except SearchUnavailable:
        return {}


def _video(video_id: str, entries: Sequence[LedgerEntry], served: Video | None) -> LibraryVideoOut:
    by_stage = {entry.stage: entry for entry in entries}
    stages = [_stage(by_stage[stage]) for stage in ALL_STAGES if stage in by_stage]
    states = {entry.state for entry in entries if entry.stage not in BY_INVITATION}
    return LibraryVideoOut(video_id=video_id, state=_state(states, served), stages=stages)


def _state(states: Collection[str], served: Video | None) -> str:
    """What a person wants to know first: a failure, then whether it can be found, then what it waits for. `states`: as a ledger's."""
    for state in ("failed", "linked"):
        if state in states:
            return state
    if served:
        return "preview" if served.preview else "searchable"
    return "running" if "running" in states else "waiting"


def _stage(entry: LedgerEntry) -> StageOut:
    return StageOut(
        stage=entry.stage, state=entry.state, reason=entry.reason, detail=entry.detail, updated_at=entry.updated_at
    )
