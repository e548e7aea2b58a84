"""Some videos by name through all their stages in one run; on real small files, with the real models."""

import gc
import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from awkward_files import clip, reencoded
from kitchen import Kitchen, kitchen_in

from assets.videos import take_in
from khung.errors import ConfigError
from khung.settings import ExtractionSettings, Settings
from khung.stores import STAGES
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import playable_key
from khung.video.identity import file_sha256
from khung.video.probe import probe
from ops.intake import register
from ops.retire import retire
from orchestration.build import build_defs
from orchestration.ranges import sync_partitions
from orchestration.selection import put_back

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory, models_dir: Path, instance: dg.DagsterInstance):
    """Three small films and a letter that calls itself one, all registered."""
    home = tmp_path_factory.mktemp("selection")
    kitchen = kitchen_in(home, instance)
    for frames, name in ((40, "a"), (50, "b"), (60, "c")):
        register(clip(home / f"{name}.mp4", frames), kitchen.ledger, kitchen.library)
    (home / "letter.mp4").write_text("no film")
    register(home / "letter.mp4", kitchen.ledger, kitchen.library)
    sync_partitions(instance, kitchen.ledger)
    real = Settings(home=kitchen.settings.home, models_dir=models_dir, _env_file=None)
    vars(kitchen)["defs"] = build_defs(real)
    return kitchen


def process(kitchen: Kitchen, **config: object) -> dg.ExecuteInProcessResult:
    gc.collect()  # the models of the run before
    return kitchen.defs.resolve_job_def("process_selection").execute_in_process(
        instance=kitchen.instance, run_config=config, raise_on_error=False
    )


def test_a_selection_passes_all_stages_in_one_run_and_the_bad_one_is_told_at_the_end(kitchen):
    result = process(kitchen, videos=["a", "c", "letter"])
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert failure.step_key == "report"
    assert "| letter | videos | `not_a_video` |" in failure.step_failure_data.user_failure_data.metadata["failed"].value
    assert all(kitchen.ledger.get(v)[stage].state == "done" for v in "ac" for stage in STAGES[:5])
    assert kitchen.ledger.get("b")["videos"].state == "waiting"
    assert kitchen.instance.get_materialized_partitions(dg.AssetKey("embeddings")) == {"a", "c"}


def test_without_names_it_is_all_that_failed(kitchen):
    letter = kitchen.settings.home.parent / "letter.mp4"
    before = kitchen.ledger.get("a")["shots"].updated_at
    assert not process(kitchen).success
    assert kitchen.ledger.get("letter")["videos"].state == "failed"
    assert kitchen.ledger.get("a")["shots"].updated_at == before
    assert letter.exists()


def test_a_stage_can_be_done_again_with_what_builds_on_it(kitchen):
    shutil.rmtree(kitchen.settings.archive_dir / "frames" / "a")
    assert process(kitchen, videos=["a"], redo_from="keyframes").success
    assert list(kitchen.library.archive.keys("frames/a/"))
    assert kitchen.ledger.get("a")["keyframes"].state == "done"


def test_what_another_recipe_made_is_made_again_some_at_a_time(kitchen):
    before = kitchen.ledger.get("a")["keyframes"].updated_at
    old = [replace(kitchen.ledger.get(v)["keyframes"], code_version="an old one") for v in "ac"]
    kitchen.ledger.put(old)
    assert process(kitchen, stale=True, most=1).success
    versions = [kitchen.ledger.get(v)["keyframes"].code_version for v in "ac"]
    assert versions.count("an old one") == 1
    assert process(kitchen, stale=True).success
    assert "an old one" not in [kitchen.ledger.get(v)["keyframes"].code_version for v in "ac"]
    assert kitchen.ledger.get("a")["keyframes"].updated_at > before
    assert kitchen.ledger.get("a")["embeddings"].state == "done"
    assert process(kitchen, stale=True).success  # nothing is left to do


def test_a_reencoded_excerpt_borrows_what_was_said_of_its_origin(kitchen, clips):
    home = kitchen.settings.home.parent
    film = shutil.copy(clips / "googlework_short.mp4", home / "film.mp4")
    register(Path(film), kitchen.ledger, kitchen.library)
    sync_partitions(kitchen.instance, kitchen.ledger)
    assert process(kitchen, videos=["film"]).success
    register(reencoded(Path(film), home / "excerpt.mp4", from_s=8.0), kitchen.ledger, kitchen.library)
    sync_partitions(kitchen.instance, kitchen.ledger)
    assert process(kitchen, videos=["excerpt"]).success

    video = kitchen.library.video("excerpt")
    assert video.derived_from == "film"
    assert video.derived_offset_ms == pytest.approx(-8000, abs=1000)
    for stage in ("embeddings", "descriptions"):
        which = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage), asset_partitions=["excerpt"])
        (event,) = kitchen.instance.fetch_materializations(which, limit=1).records
        told = event.asset_materialization.metadata
        assert 0 < told["borrowed"].value <= len(kitchen.library.keyframes("excerpt"))
    assert kitchen.library.video("film").derived_from == ""


def test_what_browsers_do_not_play_gets_a_copy_that_goes_with_the_video(kitchen):
    home = kitchen.settings.home.parent
    register(clip(home / "full.mp4", 33, pixel_format="yuv444p"), kitchen.ledger, kitchen.library)
    sync_partitions(kitchen.instance, kitchen.ledger)
    assert process(kitchen, videos=["full"]).success
    assert "playable_copies" not in kitchen.ledger.get("a")
    assert not kitchen.library.video("full").playable
    line = kitchen.ledger.get("full")["playable_copies"]
    copy = kitchen.library.archive.local_path(playable_key("full"))
    assert (line.state, line.fingerprint) == ("done", file_sha256(copy))
    assert probe(copy, kitchen.settings.media).playable

    copy.unlink()  # derived: it is made again from the media
    assert process(kitchen, videos=["full"], redo_from="playable_copies").success
    assert kitchen.library.archive.size(playable_key("full"))
    retire("full", kitchen.ledger, kitchen.library)
    assert not [key for key in kitchen.library.archive.keys("") if "full" in key]


def test_copies_can_be_switched_off(kitchen):
    home = kitchen.settings.home.parent
    register(clip(home / "off.mp4", 31, pixel_format="yuv444p"), kitchen.ledger, kitchen.library)
    off = Settings(extraction=ExtractionSettings(playable_copies=False, _env_file=None), _env_file=None)
    assert take_in("off", kitchen.library, off).invites == ()
    assert take_in("off", kitchen.library, kitchen.settings).invites == ("playable_copies",)


def test_wrong_names_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no stage nonsense"):
        put_back(SqliteLedger(tmp_path / "ledger.sqlite"), [], "nonsense")


def test_an_unknown_video_stops_the_run(kitchen):
    assert not process(kitchen, videos=["nobody"]).success
