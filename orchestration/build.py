"""The assembly: assets, checks, jobs, sensors and resources put together for one set of settings."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

from assets.audits import answers_judged_topics, library_agrees, still_answers
from assets.gme_outputs import descriptions, embeddings
from assets.keyframes import keyframes
from assets.partitions import SHARDS
from assets.playable_copies import playable_copies
from assets.preview import preview
from assets.recipe import code_versions, model_kinds
from assets.search_snapshot import search_snapshot
from assets.shard_indices import shard_indices
from assets.shots import shots
from assets.videos import videos
from khung.errors import ConfigError
from khung.settings import Settings
from orchestration.alerts import alert_on_audit, alert_on_failure, tell_of_snapshots
from orchestration.arrivals import arrivals_sensor
from orchestration.describe_again import describe_again_job
from orchestration.embed_again import embed_again_job
from orchestration.jobs import (
    ASSET_JOBS,
    audit,
    collect_garbage_job,
    evaluate_job,
    register_files_job,
    retire_videos_job,
    roll_back_job,
)
from orchestration.schedules import (
    audit_nightly,
    collect_nightly,
    describe_again_nightly,
    embed_again_nightly,
    refresh_nightly,
)
from orchestration.selection import process_selection
from orchestration.sensors import inbox_sensor, shards_sensor, snapshot_sensor, stages_sensor
from resources.copies import CopiesResource
from resources.ledger import LedgerResource
from resources.library import LibraryResource
from resources.shelf import ShelfResource
from resources.transnet import TransNetResource
from resources.vision import DescriberResource, EmbedderResource, FallbackResource, ReaderResource

CHORES = (
    process_selection,
    register_files_job,
    retire_videos_job,
    roll_back_job,
    collect_garbage_job,
    evaluate_job,
    audit,
    embed_again_job,
    describe_again_job,
)
ASSETS = (videos, shots, keyframes, preview, embeddings, descriptions, shard_indices, search_snapshot, playable_copies)

SENSORS = (inbox_sensor, arrivals_sensor, stages_sensor, shards_sensor, snapshot_sensor)


def build_defs(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Everything Dagster needs. `resource_overrides`: plain objects or resources in place of those of the settings."""
    if settings.shard_count != len(SHARDS.get_partition_keys()):
        raise ConfigError(
            f"{settings.shard_count} shards are asked for, the partitions are {len(SHARDS.get_partition_keys())}.",
            cure="Set KHUNG_SHARD_COUNT before the pipeline is loaded.",
        )
    return dg.Definitions(
        assets=_with_recipes(settings),
        asset_checks=[library_agrees, still_answers, answers_judged_topics],
        jobs=[*ASSET_JOBS.values(), *CHORES],
        sensors=[*SENSORS, alert_on_failure, alert_on_audit, tell_of_snapshots],
        schedules=[collect_nightly, audit_nightly, embed_again_nightly, describe_again_nightly, refresh_nightly],
        resources=resources(settings) | dict(resource_overrides or {}),
        executor=dg.in_process_executor,  # a run is one process: its videos share the model that it loads
    )


def resources(settings: Settings) -> dict[str, Any]:
    """By the names that assets and ops ask for."""
    shared = dg.ResourceDefinition.hardcoded_resource(settings, "All settings of khung.")
    return {
        "io_manager": dg.mem_io_manager,  # nothing but the names of a selection passes from op to op
        "settings": shared,
        "ledger": LedgerResource(settings=shared),
        "library": LibraryResource(settings=shared),
        "shelf": ShelfResource(settings=shared),
        "transnet": TransNetResource(settings=shared),
        "copies": CopiesResource(settings=shared),
        "embedder": EmbedderResource(settings=shared),
        "fallback": FallbackResource(settings=shared),
        "describer": DescriberResource(settings=shared),
        "reader": ReaderResource(settings=shared),
    }


def _with_recipes(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets with their whole code versions, so that another model or threshold shows what is stale."""
    versions, kinds = code_versions(settings), model_kinds(settings)

    def complete(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = spec.key.to_user_string()
        fresh = _freshness(settings) if name == "search_snapshot" else None
        return spec.replace_attributes(
            code_version=versions.get(name, spec.code_version),
            kinds=kinds.get(name, spec.kinds),
            freshness_policy=fresh or spec.freshness_policy,
        )

    return list(dg.map_asset_specs(complete, ASSETS))


def _freshness(settings: Settings) -> dg.FreshnessPolicy | None:
    """How old the snapshot may grow; warned of at three quarters of it."""
    if not settings.fresh_within_h:
        return None
    window = timedelta(hours=settings.fresh_within_h)
    return dg.FreshnessPolicy.time_window(fail_window=window, warn_window=window * 0.75)
