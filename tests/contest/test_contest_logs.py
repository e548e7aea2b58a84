"""Logs of questions and results: the JSON that DRES's OpenAPI document describes, taken by the server made from it."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from khung.contest.dres import Dres
from khung.contest.logs import Event, events_of, query_log, result_log
from khung.stores import FrameFilter
from tests.contest.dres_server import DresServer

NOW = 1_800_000_000_000


@dataclass
class Asked:
    text: str = ""
    then: tuple[str, ...] = ()
    image: object | None = None
    like: str = ""
    where: FrameFilter = field(default_factory=FrameFilter)
    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()


def told(asked: Asked) -> list[tuple[str, str, str]]:
    return [(event.category, event.type, event.value) for event in events_of(asked, NOW)]


def test_every_part_of_a_question_is_told() -> None:
    where = FrameFilter(videos=("L21_V001",), from_ms=0, facets={"weather": ("rain", "snow")})
    image = np.zeros((2, 2, 3), np.uint8)
    asked = Asked("chợ nổi", ("một chiếc thuyền",), image, "L21_V001/7", where, ("a/1",), ("b/2",))
    assert told(asked) == [
        ("TEXT", "jointEmbedding", "chợ nổi"),
        ("TEXT", "temporalQuery", "một chiếc thuyền"),
        ("IMAGE", "globalFeatures", "uploaded image"),
        ("IMAGE", "globalFeatures", "L21_V001/7"),
        ("IMAGE", "feedbackModel", "+a/1"),
        ("IMAGE", "feedbackModel", "-b/2"),
        ("FILTER", "videos", "L21_V001"),
        ("FILTER", "from_ms", "0"),
        ("FILTER", "facets", "weather=rain,snow"),
    ]


def test_an_empty_question_tells_nothing() -> None:
    assert told(Asked()) == []


def test_results_are_named_and_ranked_as_shown() -> None:
    log = result_log([("A", 1000), ("B", 2000)], [], NOW, name_of=lambda i: f"file-{i}", total=99, offset=10)
    assert log["results"] == [
        {"answer": {"mediaItemName": "file-A", "start": 1000, "end": 1000}, "rank": 11},
        {"answer": {"mediaItemName": "file-B", "start": 2000, "end": 2000}, "rank": 12},
    ]
    assert log["resultSetAvailability"] == "top12"
    assert result_log([("A", 1000)], [], NOW, name_of=str, total=1)["resultSetAvailability"] == "all"


@pytest.mark.anyio
async def test_the_server_takes_them(dres_server: DresServer) -> None:
    dres = Dres(dres_server.address)
    await dres.login("thi", "bí mật")
    events = [*events_of(Asked("chợ nổi", like="A/1"), NOW), Event("BROWSING", "videoPlayer", "A", NOW)]
    await dres.log_query("run-1", query_log(events, NOW))
    await dres.log_result("run-1", result_log([("A", 1000)], events, NOW, name_of=str, total=1))
    assert [kind for kind, _ in dres_server.logs] == ["query", "result"]
    assert dres_server.logs[0][1]["events"][2] == {
        "timestamp": NOW,
        "category": "BROWSING",
        "type": "videoPlayer",
        "value": "A",
    }
