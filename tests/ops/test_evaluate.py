"""Topics with known answers, asked of a snapshot."""

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from kitchen import kitchen_in

from assets.audits import judged
from khung.errors import ConfigError
from khung.search.topics import Moment, Topic, read_topics
from khung.search.trial import Trial, outcome
from khung.settings import SearchSettings
from ops.evaluate import figures
from orchestration.ranges import range_tags

DOG = {
    "text": "con chó chạy trên bãi biển",
    "video": "film",
    "from_ms": 3000,
    "to_ms": 4000,
}  # scene 3 of the invented ones
NEWS = {"text": "a presenter reads the news", "video": "film", "from_ms": 4000, "to_ms": 5000}


def write(path: Path, *topics: object) -> Path:
    path.write_text("\n".join(json.dumps(topic, ensure_ascii=False) for topic in topics), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory, instance: dg.DagsterInstance):
    kitchen = kitchen_in(tmp_path_factory.mktemp("evaluation"), instance)
    kitchen.stock("film", "another", frames=10)
    assert kitchen.run("make_shard_indices", tags=range_tags([f"{i:02}" for i in range(16)])).success
    assert kitchen.run("make_search_snapshot").success
    return kitchen


def ask(kitchen, topics: Path, **more: str) -> dg.ExecuteInProcessResult:
    return kitchen.run("evaluate_job", config={"ops": {"evaluate": {"config": {"topics": str(topics), **more}}}})


def test_topics_are_asked_and_the_figures_are_told(kitchen, tmp_path):
    result = ask(kitchen, write(tmp_path / "topics.jsonl", DOG, NEWS))
    assert result.success
    found = result.output_for_node("evaluate")
    assert found["found_at_5"] == 1.0
    assert 0 < found["mrr"] <= 1
    (event,) = [e for e in result.all_events if e.is_successful_output]
    metadata = event.step_output_data.metadata
    assert metadata["topics"].value == 2
    assert "con chó chạy trên bãi biển" in metadata["ranks"].value


def test_a_moment_without_frames_could_not_be_answered(kitchen, tmp_path):
    assert not ask(kitchen, write(tmp_path / "topics.jsonl", DOG | {"from_ms": 99000, "to_ms": 99001})).success


def test_an_unknown_snapshot_is_refused(kitchen, tmp_path):
    assert not ask(kitchen, write(tmp_path / "topics.jsonl", DOG), snapshot_id="0" * 16).success


def test_the_figures_by_hand():
    topic = Topic("q", "v", "en", (Moment("v", 0),))
    ranked = [f"x/{n}" for n in range(50)]
    first = outcome(topic, {"v/0": 1.0}, ["v/0", *ranked])
    never = outcome(topic, {"v/0": 1.0}, ranked)
    fourth = outcome(topic, {"v/0": 1.0, "v/1": 1.0}, [*ranked[:3], "v/0", *ranked[3:7], "v/1"])
    found = figures(Trial("t", (first, never, fourth)))
    assert (found["mrr"], found["found_at_1"], found["found_at_5"], found["recall_at_5"]) == (
        0.4167,
        0.3333,
        0.6667,
        0.5,
    )


@pytest.mark.parametrize(
    "line", ['{"text": "no moment"}', "not json", '{"text": "a", "video": "b", "from_ms": 0, "to_ms": 1, "more": 2}']
)
def test_a_line_that_is_no_topic_is_named(tmp_path, line):
    (tmp_path / "topics.jsonl").write_text(json.dumps(DOG) + "\n\n" + line)
    with pytest.raises(ConfigError, match="line 3"):
        read_topics(tmp_path / "topics.jsonl")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.jsonl"):
        read_topics(tmp_path / "gone.jsonl")


# -- the asset check


def trial(name: str, ranks: list[int]) -> Trial:
    topics = [Topic(str(n), f"q{n}", "en", (Moment("v", 0),)) for n in range(len(ranks))]
    lists = [[*(f"x/{i}" for i in range(rank - 1)), "v/0"] if rank else [] for rank in ranks]
    return Trial(name, tuple(outcome(t, {"v/0": 1.0}, ranked) for t, ranked in zip(topics, lists, strict=True)))


def test_a_snapshot_that_answers_worse_than_the_one_before_fails():
    result = judged(trial("now", [0] * 8 + [1]), trial("before", [1] * 9))
    assert not result.passed
    assert result.metadata["before mrr"].value == 1.0
    assert result.metadata["p"].value < 0.05
    assert "q0: 1 → –" in result.metadata["fell"].value


def test_a_few_topics_that_fell_may_be_chance():
    assert judged(trial("now", [2, 3, 1, 1]), trial("before", [1, 1, 1, 1])).passed


def test_better_or_first_snapshots_pass():
    assert judged(trial("now", [1] * 9), trial("before", [0] * 9)).passed
    assert judged(trial("now", [0] * 9), None).passed


def test_the_audit_asks_the_topics_that_are_set(kitchen, tmp_path):
    path = write(tmp_path / "topics.jsonl", DOG, NEWS)
    asking = replace(kitchen, settings=kitchen.settings.model_copy(update={"search": SearchSettings(topics=path)}))
    (told,) = [e for e in asking.run("audit").get_asset_check_evaluations() if e.check_name == "answers_judged_topics"]
    assert told.passed
    assert told.metadata["topics"].value == 2
    path.write_text("not json")
    (told,) = [e for e in asking.run("audit").get_asset_check_evaluations() if e.check_name == "answers_judged_topics"]
    assert not told.passed
    assert "line 1" in told.metadata["complaint"].value
