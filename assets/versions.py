"""What Dagster must be told with each materialisation so that it can say what is stale, and why.

A run over many videos logs its materialisations itself, and Dagster adds no versions to those: without these tags every
partition would read as stale for ever.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    NULL_EVENT_POINTER,
)


@dataclass(frozen=True, slots=True)
class Input:
    """What was read of an upstream asset: its data version, and the event that said so."""

    data_version: str
    storage_id: int | None = None  # None: Dagster is not to watch this input; the ledger does


def version_tags(code_version: str, data_version: str, inputs: Mapping[str, Input]) -> dict[str, str]:
    """Tags of one materialisation; `inputs` by the name of the upstream asset."""
    tags = {
        CODE_VERSION_TAG: code_version,
        DATA_VERSION_TAG: data_version,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
    }
    for asset, read in inputs.items():
        tags[f"{INPUT_DATA_VERSION_TAG_PREFIX}/{asset}"] = read.data_version
        tags[f"{INPUT_EVENT_POINTER_TAG_PREFIX}/{asset}"] = str(read.storage_id or NULL_EVENT_POINTER)
    return tags


def event_pointers(instance: dg.DagsterInstance, asset: str, partitions: Collection[str]) -> dict[str, int]:
    """The newest materialisation of each partition, as Dagster's event log numbers them. One query."""
    return instance.event_log_storage.get_latest_storage_id_by_partition(
        dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION, set(partitions)
    )


def digest(*parts: Any) -> str:
    """16 hex digits over the parts: bytes as they are, anything else by its `repr`."""
    hashed = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes | memoryview) else repr(part).encode()
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.hexdigest()[:16]
