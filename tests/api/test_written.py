"""The page of hits that is written without a schema, held to the schema: every field, its type and its order."""

from dataclasses import replace

import orjson
from pydantic import TypeAdapter

from khung.api import present, written
from khung.api.schemas import SearchOut
from khung.api.written import FrameTexts
from khung.records import ChannelScore, Description, FrameRecord, Hit, Keyframe, Region, TextLine
from khung.search.engine import Degraded, SearchResult
from khung.search.query import parse

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


def hit(of: FrameRecord) -> Hit:
    why = ChannelScore(0.3, 0.8, 0.4, "looks like it")
    return Hit(of, 0.9, {"vector": why}, 2, (Hit(replace(of, shot_end_ms=7000), 0.1, {}),))


def test_it_is_what_the_schema_says_to_the_letter():
    data = written.page(result(hit(record())), FrameTexts())
    read = PAGE.validate_json(data, strict=True)
    assert orjson.loads(orjson.dumps(read)) == orjson.loads(data)
    assert orjson.dumps(read) == data  # in the schema's order, and nothing beside it
    assert read.hits[0].frame == present.frame(record())
    assert read.hits[0].frame.images.thumb == present.image_url("L21_V001", 120, -7, "thumb.webp")
    assert written.read(data) == read


def test_what_is_told_before_stands_before():
    page = written.page(result(), FrameTexts(), before={"channels": ["text"]})
    assert page == b'{"channels":["text"],' + written.page(result(), FrameTexts())[1:]


def test_an_empty_description_is_written_too():
    bare = FrameRecord(Keyframe("v", 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0), 0, 0)
    assert PAGE.validate_json(written.page(result(hit(bare)), FrameTexts()), strict=True).hits[0].frame.captions == {}


def test_texts_are_kept_within_their_bytes_and_the_newest_stay():
    texts = FrameTexts(kept=100_000)
    for index in range(1000):
        texts.of(record(index))
    size = len(orjson.dumps(texts.of(record(999))))
    assert 0 < len(texts) <= 100_000 // size
    again = FrameTexts(kept=100_000)
    for index in range(1000):
        again.of(record(0))  # asked for again and again, so it stays
        again.of(record(index))
    assert ("L21_V001", 0) in again._young | again._old
