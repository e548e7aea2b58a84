"""Everything that a request may need, put together once: the snapshot in service, the archive, the ledger, the desk.

What lives here: from a checked question to the engine's answer. What does not: HTTP, templates, ranking.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import anyio
import numpy as np
from fastapi import Request

from khung.api.desk import Desk
from khung.api.images import QueryImages
from khung.api.inbox import Inbox
from khung.api.schemas import FACET_FIELDS, SearchIn
from khung.api.serving import Serving
from khung.search.caching import answer_key
from khung.search.encoders import QueryEncoders
from khung.search.engine import SearchRequest, SearchResult
from khung.settings import Settings
from khung.shards.shelf import open_shelf
from khung.stores import FrameFilter, Ledger
from khung.stores.library import Library
from khung.stores.open import open_archive, open_ledger

if TYPE_CHECKING:
    from khung.vision import Embedder


@dataclass
class Service:
    """One per application; handed to routes by `service_of`."""

    settings: Settings
    serving: Serving
    desk: Desk
    images: QueryImages
    inbox: Inbox

    @classmethod
    def of(cls, settings: Settings, embedder: "Embedder | None") -> "Service":
        return cls(
            settings=settings,
            serving=Serving(open_shelf(settings), QueryEncoders(settings, [embedder] if embedder else [])),
            desk=Desk(settings.serve),
            images=QueryImages(settings.home / "query-images", settings.serve),
            inbox=Inbox(settings.inbox_dir, settings.serve.max_upload_bytes),
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

    async def search(self, asked: SearchIn) -> SearchResult:
        """The engine's answer from the snapshot in service. Raises QueryError, NotFound, Overloaded, SearchUnavailable."""
        snapshot_id = self.serving.snapshot_id
        request = await anyio.to_thread.run_sync(self.request, asked) if asked.image else self.request(asked)

        def answer() -> SearchResult:
            with self.serving.borrow() as resident:
                return resident.engine.search(request)

        def keep(result: SearchResult) -> bool:  # the snapshot may have been swapped since the key was made
            return not result.degraded and result.snapshot_id == snapshot_id

        key = answer_key(request, snapshot_id=snapshot_id or "", fingerprint=self.serving.fingerprint)
        return await self.desk.ask(key, answer, keep=keep)

    def request(self, asked: SearchIn) -> SearchRequest:
        """The question in the engine's words. Raises NotFound when its image is no longer kept."""
        return SearchRequest(
            text=asked.q,
            image=self._pixels(asked.image),
            like=asked.like,
            where=where(asked),
            limit=asked.limit,
            offset=asked.offset,
            per_video=asked.per_video,
            then=tuple(text for text in asked.then if text),
            more=tuple(asked.more),
            less=tuple(asked.less),
        )

    def _pixels(self, image_id: str) -> np.ndarray | None:
        return self.images.pixels(image_id) if image_id else None


def where(asked: SearchIn) -> FrameFilter:
    """The hard conditions of a question."""
    facets = {field: tuple(getattr(asked, name)) for name, field in FACET_FIELDS.items() if name != "object"}
    return FrameFilter(
        videos=tuple(asked.video),
        not_videos=tuple(asked.not_video),
        from_ms=asked.from_ms,
        to_ms=asked.to_ms,
        objects=tuple(asked.object),
        not_objects=tuple(asked.not_object),
        facets={field: values for field, values in facets.items() if values},
    )


def service_of(request: Request) -> Service:
    """For `Depends`."""
    return request.app.state.service
