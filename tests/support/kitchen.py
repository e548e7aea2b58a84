"""A kitchen with an invented stock: a home, a Dagster instance, and videos as far along as a test wants them.

Ledger, archive, shelf and instance are the real ones; only the frames are invented, so no model has to look at them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import dagster as dg
import numpy as np
from sample_frames import DIM, hash_of, make_records, make_shots, make_vectors, make_video

from assets.catalog import VIDEO_STAGES
from assets.partitions import VIDEOS
from assets.recipe import code_versions, notes_fingerprint
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.stores import LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import FrameNotes, Library
from khung.vision.load import fingerprints
from orchestration.build import build_defs

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class InventedEmbedder:
    """Questions as fixed random vectors of the invented space, under the name of the real one."""

    dim = DIM

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return make_vectors(len(images), seed=len(images))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.concatenate([make_vectors(1, seed=hash_of(text) % 2**32) for text in texts])


@dataclass(frozen=True)
class Kitchen:
    """Everything that the sensors and jobs work on."""

    settings: Settings
    instance: dg.DagsterInstance

    @cached_property
    def ledger(self) -> SqliteLedger:
        return SqliteLedger(self.settings.ledger_path)

    @cached_property
    def library(self) -> Library:
        return Library(LocalArchive(self.settings.archive_dir))

    @cached_property
    def defs(self) -> dg.Definitions:
        embedder = InventedEmbedder(fingerprints(self.settings).embedder)
        return build_defs(self.settings, {"ledger": self.ledger, "library": self.library, "embedder": embedder})

    @property
    def plain(self) -> dict[str, object]:
        """The resources that sensors take."""
        shelf = Shelf(self.settings.shelf_dir)
        return {"ledger": self.ledger, "library": self.library, "settings": self.settings, "shelf": shelf}

    def stock(self, *video_ids: str, upto: str = "descriptions", frames: int = 10, seed: int = 0) -> None:
        """Videos whose stages up to `upto` are done."""
        stages = VIDEO_STAGES[: VIDEO_STAGES.index(upto) + 1]
        versions = code_versions(self.settings)
        for video_id in video_ids:
            self.ledger.claim(make_video(video_id).sha256, f"{video_id}.mp4", video_id)
            self._put(video_id, frames, seed)
            self.ledger.put(
                LedgerEntry(video_id, s, "done", code_version=versions[s], fingerprint=f"{s}-{seed}") for s in stages
            )
        self.instance.add_dynamic_partitions(VIDEOS.name, list(video_ids))

    def _put(self, video_id: str, frames: int, seed: int) -> None:
        records, models = make_records(video_id, frames), fingerprints(self.settings)
        self.library.put_video(make_video(video_id, frames))
        self.library.put_shots(video_id, make_shots(video_id, frames))
        self.library.put_keyframes(video_id, [record.keyframe for record in records])
        indices = [record.keyframe.frame_index for record in records]
        vectors = make_vectors(frames, seed=hash_of(video_id) % 2**32 + seed)
        self.library.put_embeddings(video_id, models.embedder, indices, vectors)
        notes = [FrameNotes(r.keyframe.frame_index, r.description, r.screen_text) for r in records]
        self.library.put_notes(video_id, notes_fingerprint(models.describer, models.reader), notes)

    def run(
        self, job: str, *, tags: dict[str, str] | None = None, config: dict | None = None
    ) -> dg.ExecuteInProcessResult:
        """A job in this process against the kitchen's instance."""
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags or {}, run_config=QUIET | (config or {}), raise_on_error=False
        )


def kitchen_in(home: Path, instance: dg.DagsterInstance) -> Kitchen:
    """A new home on an instance that others have used."""
    return Kitchen(Settings(home=_made(home / "khung"), _env_file=None), swept(instance))


def swept(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The instance without partitions, runs and events: making one takes seconds, so the tests of a file share it."""
    for key in instance.get_dynamic_partitions(VIDEOS.name):
        instance.delete_dynamic_partition(VIDEOS.name, key)
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    instance.wipe_assets(list(instance.all_asset_keys()))
    return instance


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
