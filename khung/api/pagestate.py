"""The state of the search screen, all of it in the address: read from the query string, written back into links.

What lives here: names of the parameters and how links change them. What does not: answers, templates.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from khung.api.schemas import FACET_FIELDS, MAX_DEPTH, MAX_QUERY, MAX_STEPS, SearchIn, clean
from khung.errors import QueryError
from khung.timecode import parse_ms

PAGE_SIZE = 200
PER_GROUP = 12  # of one video, when results are grouped by video: many videos are seen at once
FILTERS = ("video", "not_video", "object", "not_object", *(name for name in FACET_FIELDS if name != "object"))


class PageState(BaseModel):
    """Unknown parameters are ignored: links from elsewhere bring their own."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    q: str = Field("", max_length=MAX_QUERY)
    then: list[str] = Field([], max_length=MAX_STEPS)
    like: str = ""
    image: str = ""
    more: list[str] = Field([], max_length=20)
    less: list[str] = Field([], max_length=20)
    video: list[str] = []
    not_video: list[str] = []
    object: list[str] = []
    not_object: list[str] = []
    action: list[str] = []
    place: list[str] = []
    scene_type: list[str] = []
    time_of_day: list[str] = []
    weather: list[str] = []
    color: list[str] = []
    emotion: list[str] = []
    time_from: str = Field("", alias="from", max_length=20)
    time_to: str = Field("", alias="to", max_length=20)
    group: Literal["", "video"] = ""
    size: Literal["s", "m", "l"] = "m"
    page: int = Field(1, ge=1, le=MAX_DEPTH // PAGE_SIZE + 1)

    @property
    def asks(self) -> bool:
        asked = ("like", "image", "more", "video", "object", *FACET_FIELDS)
        return bool(clean(self.q) or any(map(clean, self.then)) or any(getattr(self, name) for name in asked))

    @property
    def then_boxes(self) -> list[str]:
        """What the form shows: every step asked for and one empty box more."""
        return (self.then + [""] * MAX_STEPS)[: max(2, len(self.then) + 1, 3)][:MAX_STEPS]

    @property
    def hidden_fields(self) -> list[tuple[str, str]]:
        """All that the question form carries along unseen."""
        return [pair for pair in self._pairs() if pair[0] not in ("q", "then", "page", "like")]

    @property
    def fields_without_time(self) -> list[tuple[str, str]]:
        return [pair for pair in self._pairs() if pair[0] not in ("from", "to", "page")]

    def question(self) -> SearchIn:
        """The question that the address asks. Raises QueryError."""
        values = {name: getattr(self, name) for name in ("q", "like", "image", "more", "less", *FILTERS)}
        values["then"] = [text for text in self.then if clean(text)]
        values["from_ms"] = parse_ms(self.time_from) if self.time_from.strip() else None
        values["to_ms"] = parse_ms(self.time_to) if self.time_to.strip() else None
        if None not in (values["from_ms"], values["to_ms"]) and values["from_ms"] >= values["to_ms"]:
            crossed = QueryError(f"No time is both after {self.time_from} and before {self.time_to}.")
            raise crossed.known_as("times_crossed", low=self.time_from, high=self.time_to)
        if self.group and len(self.video) != 1:
            values["per_video"] = PER_GROUP
        try:
            return SearchIn(**values, limit=PAGE_SIZE, offset=(self.page - 1) * PAGE_SIZE)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "query"
            refused = QueryError(f"{where}: {first['msg'].removeprefix('Value error, ')}")
            raise refused.known_as("field_refused", where=where) from error

    def question_fields(self) -> list[tuple[str, str]]:
        """The question as `/v1/search` takes it: times in milliseconds, nothing of the screen."""
        values = self.question().model_dump(exclude={"limit", "offset", "per_video"}, exclude_defaults=True)
        return [
            (name, str(one))
            for name, value in values.items()
            for one in (value if isinstance(value, tuple) else [value])
        ]

    # -- links

    def url(self, **changes: object) -> str:
        """The search page's address with some parameters changed; a change goes back to the first page."""
        pairs = list(self.model_copy(update={"page": 1} | changes)._pairs())
        return "/?" + urlencode(pairs) if pairs else "/"

    def adding(self, name: str, value: str) -> str:
        kept = getattr(self, name)
        return self.url(**{name: kept if value in kept else [*kept, value]})

    def removing(self, name: str, value: str) -> str:
        return self.url(**{name: [one for one in getattr(self, name) if one != value]})

    def toggling(self, name: str, value: str) -> str:
        return self.removing(name, value) if value in getattr(self, name) else self.adding(name, value)

    def with_step(self, at: int, text: str) -> str:
        """The step `at` (0 is the first after the question) with another text."""
        return self.url(then=[text if n == at else kept for n, kept in enumerate(self.then)])

    def only_video(self, video_id: str) -> str:
        return self.url(video=[video_id], not_video=[], group="")

    def similar_url(self, frame_id: str) -> str:
        """Frames like this one, in place of the question; the filters stay."""
        return self.url(q="", then=[], image="", more=[], less=[], like=frame_id)

    def feedback_url(self, kind: Literal["more", "less"], frame_id: str) -> str:
        other = "less" if kind == "more" else "more"
        kept = [one for one in getattr(self, kind) if one != frame_id]
        return self.url(**{kind: [*kept, frame_id], other: [one for one in getattr(self, other) if one != frame_id]})

    def frame_url(self, frame_id: str) -> str:
        return f"/frame/{quote(frame_id)}{self._here}"

    def video_url(self, video_id: str) -> str:
        return f"/video/{quote(video_id)}"

    @cached_property
    def _here(self) -> str:
        """The query string of this very page: the same in the links of all its frames."""
        return self.url(page=self.page)[1:]

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value == field.default:
                continue
            for one in value if isinstance(value, list) else [value]:
                if str(one).strip():
                    yield field.alias or name, str(one)
