"""The shards: what is known of some videos, sealed into one folder that describes itself.

A shard that is behind is made from its previous seal and what changed since; asked for by hand it is made from the archive alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import dagster as dg

from assets.batch import POOLS
from assets.catalog import READS, heads, previewed, shard_members
from assets.checks import CHECKS, counts_agree, recall_is_high
from assets.failures import looked_at, raise_failures, reason_of
from assets.partitions import SHARDS
from assets.recipe import SEAL_VERSION, notes_fingerprint
from assets.versions import Input, digest, version_tags
from khung.errors import CorruptError, KhungError, NotFound, Outage
from khung.settings import Settings
from khung.shards.gather import gather, gather_preview
from khung.shards.manifest import SealedInput, ShardManifest
from khung.shards.shelf import Shelf
from khung.shards.writer import open_manifest, reseal, seal
from khung.stores import Ledger, LedgerEntry
from khung.stores.library import PREVIEW, Library
from khung.stores.waiting import put_back
from khung.timecode import utc_now
from khung.vision.load import fingerprints


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            "shard_indices",
            deps=[dg.AssetDep(stage, partition_mapping=dg.AllPartitionMapping()) for stage in READS["shard_indices"]],
            group_name="shelf",
            kinds={"faiss", "duckdb", "parquet"},
            owners=["team:kitchen"],
            code_version=SEAL_VERSION,
            partitions_def=SHARDS,
            skippable=True,
        )
    ],
    check_specs=[
        dg.AssetCheckSpec(name, asset="shard_indices", blocking=True, description=text)
        for name, text in CHECKS["shard_indices"].items()
    ],
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=len(SHARDS.get_partition_keys())),
    pool=POOLS["shard_indices"],
)
def shard_indices(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
    shelf: dg.ResourceParam[Shelf],
) -> Iterator[dg.AssetCheckResult]:
    """Sealed shards: records in Parquet for DuckDB, vectors in FAISS, words in tantivy; immutable and named by their content.
    A video's shard follows from its id; a shard that no video belongs to stays “missing”. Nothing is searched before a snapshot
    names it."""
    version = context.assets_def.get_asset_spec(context.asset_key).code_version or ""
    sealing = Sealing(ledger, library, shelf, settings, version)
    failures: dict[str, BaseException] = {}
    for key in context.partition_keys:
        try:
            for sealed in sealing.seal(int(key)):
                context.log_event(_materialisation(key, version, sealed))
        except Outage:
            raise  # the others would fail the same way
        except KhungError as error:
            context.log.error(f"Shard {key}: {error}")
            failures[key] = error
    for name in CHECKS["shard_indices"]:
        caught = {key: str(e) for key, e in failures.items() if reason_of(e) == name}
        told = looked_at("shards", len(context.partition_keys), caught)
        yield dg.AssetCheckResult(check_name=name, passed=not caught, metadata=told)
    raise_failures("shard_indices", failures, "shards")


class Sealing:
    """Seals shards with the models of the settings, and keeps the ledger."""

    def __init__(self, ledger: Ledger, library: Library, shelf: Shelf, settings: Settings, code_version: str) -> None:
        self.ledger, self.library, self.shelf = ledger, library, shelf
        self.settings, self.code_version = settings, code_version
        models = fingerprints(settings)
        self.models = {"embedder": models.embedder, "describer": models.describer, "reader": models.reader}
        self.notes = notes_fingerprint(models.describer, models.reader)
        self.heads = heads(ledger, settings.shard_count)
        self.entries = {entry.video_id: entry for entry in ledger.find(stage="shard_indices")}
        self.previews: set[str] = set()

    def seal(self, index: int) -> Iterator[ShardManifest]:
        """One shard, or none when no video belongs into it. Raises KhungError; the shard's last seal then stays the newest."""
        before = self._versions()
        self.previews = previewed(self.ledger)
        members = shard_members(self.ledger, self.settings.shard_count).get(index, [])
        if not members:
            return
        self._put(members, state="running", died=1)
        try:
            sealed = self._again(index, members) or self._anew(index, members)
            recall_is_high(sealed)
            counts_agree(sealed, {video_id: self._frames(video_id) for video_id in members})
            self.shelf.keep(sealed.shard_id)
        except Outage as fault:
            old = {video_id: self._entry(video_id) for video_id in members}
            self.ledger.put(
                put_back(replace(e, code_version=self.code_version), fault, e, utc_now()) for e in old.values()
            )
            raise
        except KhungError as error:
            self._put(members, state="failed", reason=reason_of(error), detail=str(error))
            raise
        after = self._versions()
        self._put(members, state="done", fingerprint=sealed.shard_id)
        self._put([v for v in members if before[v] != after[v]], state="waiting", fingerprint=sealed.shard_id)
        for video_id in self._whole_now(index, members):
            self.library.delete_embeddings(video_id, self.models["embedder"], PREVIEW)
        yield sealed

    def _whole_now(self, index: int, members: Sequence[str]) -> set[str]:
        """Those whose preview this seal has replaced."""
        had_one = {entry.video_id for entry in self.ledger.find(stage="preview")}.intersection(members)
        return {v for v in had_one - self.previews if not self._holds(self.heads.get(index), v)}

    def _versions(self) -> dict[str, list[str]]:
        """What the videos' stages have made by now: what comes while a shard is being sealed goes into the next seal."""
        found: dict[str, list[str]] = defaultdict(list)
        for stage in READS["shard_indices"]:
            for entry in self.ledger.find(stage=stage):
                found[entry.video_id].append(f"{stage}:{entry.fingerprint}")
        return found

    def _frames(self, video_id: str) -> int:
        if video_id in self.previews:
            return len(self.library.preview(video_id, self.models["embedder"])[0])
        return len(self.library.keyframes(video_id))

    def _again(self, index: int, members: Sequence[str]) -> ShardManifest | None:
        """From the previous seal, if only some videos changed and the models are the same."""
        head = self.heads.get(index)
        changed = [v for v in members if not self._holds(head, v)]
        if not head or not changed or len(changed) == len(members):
            return None
        try:
            self.shelf.fetch([head])
            old = open_manifest(self.shelf.folder, head)
            if (old.embed_fingerprint, dict(old.models)) != (self.models["embedder"], self.models):
                return None
            inputs = (self._gather(video_id) for video_id in changed)
            return reseal(self.shelf.folder, head, inputs, gone=old.videos.keys() - set(members))
        except (NotFound, CorruptError):
            return None  # the old seal is gone or damaged: the archive has everything

    def _anew(self, index: int, members: Sequence[str]) -> ShardManifest:
        inputs = [self._gather(video_id) for video_id in members]
        return seal(
            self.shelf.folder,
            index,
            inputs,
            shard_count=self.settings.shard_count,
            embed_fingerprint=self.models["embedder"],
            dim=inputs[0].vectors.shape[1],
            models=self.models,
        )

    def _gather(self, video_id: str) -> SealedInput:
        if video_id in self.previews:
            return gather_preview(self.library, video_id, embedder=self.models["embedder"])
        return gather(self.library, video_id, embedder=self.models["embedder"], notes=self.notes, models=self.models)

    def _holds(self, head: str | None, video_id: str) -> bool:
        entry = self.entries.get(video_id)
        return entry is not None and entry.state == "done" and entry.fingerprint == head

    def _entry(self, video_id: str) -> LedgerEntry:
        """The line as it was when the run began."""
        return self.entries.get(video_id) or LedgerEntry(video_id, "shard_indices", "waiting")

    def _put(self, members: Sequence[str], *, died: int = 0, **said: str) -> None:
        """The old seal's id stays in the lines until there is a new one. `died`: 1 when this run is to count as an attempt, should
        nothing more be heard of it; after three such a shard is left for people."""
        old = [replace(self._entry(v), reason="", detail="") for v in members]
        self.ledger.put(replace(e, code_version=self.code_version, attempt=(e.attempt + 1) * died, **said) for e in old)


def _materialisation(key: str, code_version: str, sealed: ShardManifest) -> dg.AssetMaterialization:
    """The inputs carry no event: Dagster sees each shard depend on every video, the ledger knows which are behind."""
    inputs = {name: Input(digest(sorted(sealed.videos.items()))) for name in READS["shard_indices"]}
    metadata = {
        "shard": sealed.shard_id,
        "videos": len(sealed.videos),
        "frames": sealed.frames,
        "index": sealed.index_kind if sealed.index_kind != "none" else "exact, fp16",
        "recall_at_10": round(sealed.recall_at_10, 4),
        "size_mb": round(sum(file.size_bytes for file in sealed.files) / 1e6, 2),
        "dimensions": sealed.dim,
        "model": sealed.embed_fingerprint,
        "names": ", ".join(sorted(sealed.videos)[:20]) + (" …" if len(sealed.videos) > 20 else ""),
    }
    tags = version_tags(code_version, sealed.shard_id, inputs)
    return dg.AssetMaterialization("shard_indices", partition=key, metadata=metadata, tags=tags)
