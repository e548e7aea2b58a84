"""The page of hits that is written without a schema, held to the schema: every field, its type and its order."""

from dataclasses import replace

import orjson
import pytest
from pydantic import TypeAdapter

from khung.api import present, written
from khung.api.frame_json import images_of
from khung.api.schemas import SearchOut
from khung.errors import CorruptError
from khung.records import ChannelScore, Description, FrameRecord, Hit, Keyframe, Region, SealedRecord, TextLine
from khung.search.engine import Degraded, SearchResult
from khung.search.query import parse
from khung.stores import tables
from khung.stores.records_part import record_reader

PAGE = TypeAdapter(SearchOut)


def record(index: int = 120, caption: str = "Người đi bộ.") -> FrameRecord:
    told = Description(
        captions={"vi": caption, "en": "People walk."},
        objects=(Region("person", 0.91, (0.0, 0.1, 1.0, 0.9)),),
        labels=(("street", 0.4),),
        actions=("walking",),
        emotions=("calm",),
        colors=("red", "blue"),
        scene_type="street",
        place="outdoor",
    )
    line = TextLine("THỜI SỰ", 0.8, (0.0, 0.0, 0.5, 0.1))
    return FrameRecord(Keyframe("L21_V001", index, 5005, 3, 0.5, 0.1, 0.1, 0.5, -7), 4000, 6000, told, (line,))


def result(*hits: Hit) -> SearchResult:
    return SearchResult(
        hits=list(hits),
        parsed=parse('người "thời sự" sau 2 phút rồi xe đạp'),
        degraded=[Degraded("vector", "timeout", "not told")],
        snapshot_id="s1",
        total=7,
        facets={"objects": {"person": 3}},
        took_ms=1.25,
        did_you_mean="người",
    )


def sealed(of: FrameRecord) -> SealedRecord:
    return SealedRecord(tables.to_json(of), record_reader())


def hit(of: FrameRecord) -> Hit:
    why = ChannelScore(0.3, 0.8, 0.4, "looks like it")
    return Hit(sealed(of), 0.9, {"vector": why}, 2, (Hit(sealed(replace(of, shot_end_ms=7000)), 0.1, {}),))


def test_it_is_what_the_schema_says_to_the_letter():
    data = written.page(result(hit(record())))
    read = PAGE.validate_json(data, strict=True)
    assert orjson.loads(orjson.dumps(read)) == orjson.loads(data)
    assert orjson.dumps(read) == data  # in the schema's order, and nothing beside it
    assert read.hits[0].frame == present.frame(record())
    assert read.hits[0].frame.images.thumb == images_of("L21_V001", 120, -7).thumb
    assert written.read(data) == read


def test_what_is_told_before_stands_before():
    page = written.page(result(), before={"channels": ["text"]})
    assert page == b'{"channels":["text"],' + written.page(result())[1:]


def test_an_empty_description_is_written_too():
    bare = FrameRecord(Keyframe("v", 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0), 0, 0)
    assert PAGE.validate_json(written.page(result(hit(bare))), strict=True).hits[0].frame.captions == {}


def test_frames_and_their_chains_stay_together():
    page = written.read(written.page(result(hit(record(1)), hit(record(2)))))
    assert [(one.frame.frame_index, [step.frame.shot.end_ms for step in one.chain]) for one in page.hits] == [
        (1, [7000]),
        (2, [7000]),
    ]


def test_a_frame_says_what_its_record_does():
    of = record()
    shown, told = present.frame(of), of.description
    assert (shown.id, shown.timecode, shown.media) == (of.frame_id, "0:05.005", "/v1/videos/L21_V001/media#t=5.005")
    assert (shown.shot.index, shown.shot.start_ms, shown.shot.end_ms) == (3, 4000, 6000)
    assert (shown.captions, shown.caption_origin) == (dict(told.captions), told.origin)
    assert [(one.label, one.score, tuple(one.box)) for one in shown.objects] == [("person", 0.91, (0.0, 0.1, 1.0, 0.9))]
    assert [(one.text, one.score, tuple(one.box)) for one in shown.screen_text] == [("THỜI SỰ", 0.8, (0, 0, 0.5, 0.1))]
    assert (shown.actions, shown.emotions, shown.colors) == (["walking"], ["calm"], ["red", "blue"])
    assert (shown.scene_type, shown.time_of_day, shown.weather, shown.place) == (
        "street",
        "unknown",
        "unknown",
        "outdoor",
    )
    assert shown.importance == 0.5


def test_a_record_that_is_damaged_is_named():
    broken = SealedRecord(tables.to_json(record())[:-9], record_reader())
    with pytest.raises(CorruptError):
        written.page(result(Hit(broken, 0.9, {})))
