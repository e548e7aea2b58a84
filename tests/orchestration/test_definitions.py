"""What Dagster and its UI are given."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets.batch import VIDEOS_A_RUN
from assets.catalog import READS
from assets.partitions import SHARDS, VIDEOS
from assets.recipe import KEYFRAME_SETTINGS, SHOT_SETTINGS
from khung.errors import ConfigError
from khung.settings import DescriberSettings, ExtractionSettings, Settings
from khung.stores import ALL_STAGES, BY_INVITATION, STAGES
from orchestration.build import build_defs

ROOT = Path(__file__).parent.parent.parent
HEAVY = (
    "torch",
    "cv2",
    "av",
    "faiss",
    "openvino",
    "tantivy",
    "duckdb",
    "pyarrow",
    "transformers",
    "PIL",
    "scenedetect",
    "fastapi",
)


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs(Settings(_env_file=None))


def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for asset in defs.assets for spec in asset.specs}


def test_the_graph_is_the_houses(defs):
    dg.Definitions.validate_loadable(defs)
    found = {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in specs(defs).items()}
    assert found == {stage: set(read) for stage, read in READS.items()} | {"search_snapshot": {"shard_indices"}}
    assert set(READS) == set(ALL_STAGES) and not set(STAGES).intersection(BY_INVITATION)
    assert len(SHARDS.get_partition_keys()) == 16
    assert all(spec.partitions_def == VIDEOS for name, spec in specs(defs).items() if name in VIDEOS_A_RUN)


def test_everything_is_explained_owned_and_grouped(defs):
    for name, spec in specs(defs).items():
        assert spec.description and spec.owners and spec.kinds and spec.group_name not in (None, "default"), name
    for check in (c for asset in defs.assets for c in asset.check_specs):
        assert check.description, check.key
    for one in (*defs.sensors, *defs.schedules, *(d for d in defs.jobs if isinstance(d, dg.JobDefinition))):
        assert one.description, one.name


def test_no_two_stages_share_a_run_of_a_backfill(defs):
    assert len(set(VIDEOS_A_RUN.values())) == len(VIDEOS_A_RUN)


def test_loading_the_definitions_loads_nothing_heavy():
    code = f"import sys, orchestration.definitions; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "stages"),
    [({"transnet_threshold": 0.9}, {"shots"}), ({"phash_hamming": 2}, {"keyframes"}), ({"decode_workers": 7}, set())],
)
def test_a_setting_makes_stale_what_heeds_it(defs, change, stages):
    other = specs(build_defs(Settings(extraction=ExtractionSettings(**change), _env_file=None)))
    assert {name for name, spec in specs(defs).items() if spec.code_version != other[name].code_version} == stages


def test_every_setting_of_the_extraction_is_heeded_or_known_to_change_no_result():
    changes_nothing = {"decode_workers", "decoder", "playable_copies"}
    assert set(ExtractionSettings.model_fields) == {*SHOT_SETTINGS, *KEYFRAME_SETTINGS, *changes_nothing}


def test_another_model_makes_its_stage_stale(defs, monkeypatch):
    from khung.vision import conse

    monkeypatch.setattr(conse, "CODE_VERSION", 99)
    other = specs(build_defs(Settings(_env_file=None)))
    changed = {n for n, spec in specs(defs).items() if spec.code_version != other[n].code_version}
    assert changed == {"embeddings", "preview"}


def test_another_number_of_shards_wants_other_partitions():
    with pytest.raises(ConfigError, match="KHUNG_SHARD_COUNT"):
        build_defs(Settings(shard_count=4, _env_file=None))


def test_dagster_accepts_its_settings():
    config = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    with dg.instance_for_test(
        overrides={k: v for k, v in config.items() if k not in ("storage", "compute_logs")}
    ) as instance:
        assert instance.run_retries_enabled and instance.run_monitoring_enabled
        assert instance.telemetry_enabled is False
    assert (
        yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]["python_module"]["module_name"]
        == "orchestration.definitions"
    )


def test_the_badges_name_what_the_models_run_on():
    def kinds(asset: str, **profile: object) -> set[str]:
        return specs(build_defs(Settings(_env_file=None, **profile)))[asset].kinds

    assert kinds("embeddings") == kinds("descriptions") == kinds("preview") == {"ai", "openvino"}
    assert kinds("embeddings", profile="gpu") == {"ai", "pytorch"}
    assert kinds("descriptions", profile="gpu") == {"ai", "pytorch", "openvino"}  # the small reader reads along
    served = DescriberSettings(name="server", servers=("http://gpu:8000/v1",), served_as="m", revision="1")
    assert kinds("descriptions", describer=served, reader_name="describer") == {"ai", "openai"}
    assert kinds("shots") == {"ffmpeg", "opencv", "onnx"}
