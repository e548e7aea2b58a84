"""Runs over neighbours, and which partitions unfinished runs have."""

import dagster as dg
import pytest

from orchestration.ranges import in_flight, job_name, range_tags, ranges

KEYS = list("abcdefgh")


@pytest.mark.parametrize(
    ("wanted", "size", "expected"),
    [
        ("", 3, []),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("abdh", 3, ["ab", "d", "h"]),
        ("h", 3, ["h"]),
        ("bcd", 9, ["bcd"]),
        ("xyz", 3, []),
    ],
)
def test_a_hole_splits_a_run_and_a_run_is_bounded(wanted, size, expected):
    assert ranges(KEYS, set(wanted), size) == [list(part) for part in expected]


def test_a_range_leads_over_what_its_run_leaves_out():
    assert ranges(KEYS, set("abd"), 3, passable=set("c")) == [["a", "b", "d"]]
    assert ranges(KEYS, set("abd"), 2, passable=set("c")) == [["a", "b"], ["d"]]
    assert ranges(KEYS, set("afh"), 9, passable=set("bcdeg")) == [["a", "f", "h"]]
    assert ranges(KEYS, set("afh"), 9, passable=set("bcd")) == [["a"], ["f"], ["h"]]


def test_unfinished_runs_have_their_partitions():
    with dg.instance_for_test() as instance:
        for status, job, tags in (
            (dg.DagsterRunStatus.NOT_STARTED, job_name("shots"), range_tags(["b", "c", "d"])),
            (dg.DagsterRunStatus.STARTED, job_name("shots"), {"dagster/partition": "f"}),
            (dg.DagsterRunStatus.SUCCESS, job_name("shots"), {"dagster/partition": "a"}),
            (dg.DagsterRunStatus.STARTED, job_name("videos"), {"dagster/partition": "h"}),
            (dg.DagsterRunStatus.STARTED, job_name("shots"), range_tags(["gone", "too"])),
        ):
            instance.add_run(dg.DagsterRun(job_name=job, status=status, tags=tags))
        by_hand = dg.DagsterRun(
            job_name="__ASSET_JOB",
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset([dg.AssetKey("shots")]),
            tags={"dagster/partition": "g"},
        )
        instance.add_run(by_hand)
        assert in_flight(instance, "shots", KEYS) == set("bcdfg")
        assert in_flight(instance, "videos", KEYS) == {"h"}
