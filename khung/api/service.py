"""Everything that a request may need, put together once: the snapshot in service, the archive, the ledger, the desk.

What lives here: from a checked question to the engine's answer. What does not: HTTP, templates, ranking.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import anyio
import numpy as np
from fastapi import Request

from khung.api import cursor
from khung.api.answers import Answer, QuickAnswers
from khung.api.desk import Desk
from khung.api.images import QueryImages
from khung.api.inbox import Inbox
from khung.api.popular import Popular
from khung.api.question import Question
from khung.api.schemas import FACET_FIELDS, SearchIn, WhereIn
from khung.api.serving import Serving
from khung.api.signing import Signer
from khung.errors import KhungError
from khung.metrics import CACHE, RESULTS
from khung.search.encoders import QueryEncoders
from khung.search.engine import SearchRequest
from khung.search.request import Listener
from khung.settings import Settings
from khung.shards.shelf import open_shelf
from khung.stores import FrameFilter, Ledger, QueryCache
from khung.stores.cache_redis import RedisCache
from khung.stores.library import Library
from khung.stores.open import open_archive, open_ledger, open_shared_cache

if TYPE_CHECKING:
    from khung.vision import Embedder

log = logging.getLogger("khung.api")

_SOFT = tuple((name, of) for name, of in FACET_FIELDS.items() if name != "object")
SHARED_S = 24 * 3600.0  # keys name all that an answer depends on; this only lets go of what nobody asks any more

READS = 24
"""Threads that may wait for the archive: of their own, so that a slow S3 holds up pictures and nothing else."""

PICTURES = 2
"""Strangers' pictures that are decoded at the same time: the largest that is allowed takes some 350 MB."""

SCREENS = 2
"""Pages of hits that are rendered at the same time: that is Python alone, of which one process does no more."""


@dataclass
class Service:
    """One per application; handed to routes by `service_of`."""

    settings: Settings
    serving: Serving
    desk: Desk
    images: QueryImages
    inbox: Inbox
    signer: Signer
    quick: QuickAnswers
    popular: Popular
    shared: QueryCache | None = None  # of many servers
    asking: Counter[bytes] = field(default_factory=Counter)  # addresses whose answer is being worked out
    reads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(READS))
    pictures: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(PICTURES))
    screens: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(SCREENS))

    @classmethod
    def of(cls, settings: Settings, embedder: "Embedder | None") -> "Service":
        return cls(
            settings=settings,
            serving=Serving(
                open_shelf(settings),
                QueryEncoders(settings, [embedder] if embedder else []),
                linger_s=settings.serve.linger_s,
            ),
            desk=Desk(settings.serve, cost_of),
            images=QueryImages(settings.home / "query-images", settings.serve),
            inbox=Inbox(settings.inbox_dir, settings.serve.max_upload_bytes),
            signer=Signer.of(settings),
            quick=QuickAnswers(settings.serve.cache_bytes),
            popular=Popular(),
            shared=open_shared_cache(settings),
        )

    @cached_property
    def ledger(self) -> Ledger:
        """Opened when it is first needed, like the library: a server that is down stops no search. Raises StoreError."""
        return open_ledger(self.settings)

    @cached_property
    def library(self) -> Library:
        """Raises StoreError."""
        return Library(open_archive(self.settings))

    def ready_for_uploads(self) -> None:
        """Raises StoreError while the pipeline could not take note of a new file."""
        self.ledger.counts()

    async def answer(
        self, asked: SearchIn, owner: str = "", listener: Listener | None = None, *, question: Question | None = None
    ) -> tuple[Answer, bytes]:
        """The answer from the snapshot in service, and what ends its bytes; with a cursor from the snapshot that it names. `listener`
        hears of it if it is worked out now; `question` is `asked` in short, for who has it already. Raises QueryError, NotFound, Overloaded,
        SearchUnavailable, CursorRefused, CursorExpired."""
        question = question or Question.of(asked)
        named = ""  # a snapshot
        if asked.cursor:
            page = cursor.read(self.signer, asked, question, owner)
            question, named = question._replace(offset=page.offset), page.snapshot_id
        pixels = await self._pixels(asked.image) if asked.image else None
        snapshot_id = named or self.serving.snapshot_id or ""
        key = self._key(question, snapshot_id)

        def work() -> Answer:
            if (shared := self._shared(key)) is not None:
                return shared
            request = request_of(asked, pixels, question.offset)
            return self._search(question, request, named, key, listener)

        def keep(answer: Answer) -> bool:  # the snapshot may have been swapped since the key was made
            return answer.whole and answer.snapshot_id == snapshot_id

        answer = await self.desk.ask(key, work, keep=keep)
        return answer, answer.tail(self.signer, question, owner)

    def _search(
        self, question: Question, request: SearchRequest, snapshot_id: str, key: str, listener: Listener | None
    ) -> Answer:
        with self.serving.borrow(snapshot_id) as resident:
            result = resident.engine.search(request, listener)
            answer = Answer.of(question, result, key)
        RESULTS.observe(len(result.hits))
        if self.shared and answer.whole and self._key(question, answer.snapshot_id) == key:
            self.shared.put(key, answer.pack(), ttl_s=SHARED_S)
        return answer

    def _shared(self, key: str) -> Answer | None:
        """From the cache that many servers share; whatever is wrong with it is a miss."""
        if self.shared is None:
            return None
        found = self.shared.get(key)
        answer = Answer.unpack(found) if found else None
        CACHE.labels("shared", "hit" if answer else "miss").inc()
        return answer

    def _key(self, question: Question, snapshot_id: str) -> str:
        of = self.serving
        return question.key(snapshot_id=snapshot_id, fingerprint=of.fingerprint, ranking=of.ranking)

    async def rewarm(self) -> None:
        """Ask the popular questions anew, one after the other, so that a new snapshot does not begin cold."""
        for asked in self.popular.most(self.settings.serve.rewarm):
            try:
                await self.answer(asked)
            except KhungError as error:
                log.info("rewarming_failed", extra={"reason": type(error).__name__})

    def close(self) -> None:
        """Running requests keep their snapshot."""
        self.desk.close()
        self.serving.close()
        if isinstance(self.shared, RedisCache):
            self.shared.close()

    def request(self, asked: SearchIn) -> SearchRequest:
        """The question in the engine's words. Raises NotFound when its image is no longer kept."""
        return request_of(asked, self.images.pixels(asked.image) if asked.image else None, asked.offset)

    async def _pixels(self, image_id: str) -> np.ndarray:
        return await anyio.to_thread.run_sync(self.images.pixels, image_id, limiter=self.pictures)


def cost_of(kept: Answer) -> int:
    """Bytes that a kept answer takes, about."""
    return len(kept.head) + 300


def request_of(asked: SearchIn, pixels: np.ndarray | None, offset: int) -> SearchRequest:
    """The question in the engine's words: with the picture that it names, and the page that it or its cursor means."""
    return SearchRequest(
        text=asked.q,
        image=pixels,
        like=asked.like,
        where=where(asked),
        limit=asked.limit,
        offset=offset,
        per_video=asked.per_video,
        then=tuple(text for text in asked.then if text),
        more=tuple(asked.more),
        less=tuple(asked.less),
        preset=asked.preset,
    )


def where(asked: WhereIn) -> FrameFilter:
    """The hard conditions of a question."""
    facets = {of: tuple(values) for name, of in _SOFT if (values := getattr(asked, name))}
    return FrameFilter(
        videos=tuple(asked.video),
        not_videos=tuple(asked.not_video),
        from_ms=asked.from_ms,
        to_ms=asked.to_ms,
        objects=tuple(asked.object),
        not_objects=tuple(asked.not_object),
        facets=facets,
    )


def service_of(request: Request) -> Service:
    """For `Depends`."""
    return request.app.state.service
