"""The library as people see it: the ledger's stages of every video folded into one state."""

from collections import Counter
from collections.abc import Iterable, Sequence
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


def library_videos(service: Service) -> list[LibraryVideoOut]:
    """Every video that the ledger or the snapshot knows, by id."""
    return [_video(name, entries, served) for name, (entries, served) in _everything(service).items()]


def library_video(service: Service, video_id: str, entries: Iterable[LedgerEntry]) -> LibraryVideoOut:
    """One video with its stages."""
    return _video(video_id, list(entries), _searchable(service).get(video_id))


def _everything(service: Service) -> dict[str, tuple[list[LedgerEntry], Video | None]]:
    """Video id, ascending → its lines in the ledger, and what the snapshot knows of it."""
    by_video: dict[str, list[LedgerEntry]] = {}
    for entry in service.ledger.find():
        by_video.setdefault(entry.video_id, []).append(entry)
    searchable = _searchable(service)
    names = sorted(by_video.keys() | searchable.keys())
    return {name: (by_video.get(name, []), searchable.get(name)) for name in names}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A page of the library: the videos that are asked for, what the snapshot knows of them, and how many are in each state."""

    entries: list[LibraryVideoOut]
    known: dict[str, VideoOut]
    counts: dict[str, int]
    total: int  # that are asked for, on all pages
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
    """The videos in `state` (all when empty) whose id or file's name holds every word of `name`, whatever the marks."""
    words = fold(norm(name)).split()
    every = _everything(service)
    state_of = {video_id: _state(entries, served) for video_id, (entries, served) in every.items()}
    counts = Counter(state_of.values())
    asked = [
        video_id
        for video_id, (_, served) in every.items()
        if state in ("", state_of[video_id]) and _holds(f"{video_id} {served.source_name if served else ''}", words)
    ]
    shown = asked[(page - 1) * PER_PAGE : page * PER_PAGE]
    told = _known(service, shown)
    states = {one: counts[one] for one in STATES if counts[one] or one == state}
    return Shelf([_video(one, *every[one]) for one in shown], told, states, len(asked), state, name, page)


def _holds(name: str, words: list[str]) -> bool:
    if not words:
        return True
    name = fold(norm(name))
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
    return LibraryVideoOut(video_id=video_id, state=_state(entries, served), stages=stages)


def _state(entries: Iterable[LedgerEntry], served: Video | None) -> str:
    """What a person wants to know first: a failure, then whether it can be found, then what it waits for."""
    states = {entry.state for entry in entries if entry.stage not in BY_INVITATION}
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
