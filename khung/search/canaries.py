"""Questions that a snapshot must answer before it goes into service, and the scale that it is given. Asked of the real engine.

Each shard has proved its own files by then (khung.shards.canaries); here the whole is asked as a searcher would.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from khung.errors import KhungError
from khung.records import FrameRecord
from khung.search.engine import Engine
from khung.search.frames import Frames
from khung.search.request import SearchRequest, SnapshotLike
from khung.search.running import PATIENT
from khung.search.scale import Scales, measure, measure_few, names_of
from khung.search.spaces import EncoderOf

ASKED = 6
FOUND_WITHIN = 20


def normalisers(snapshot: SnapshotLike, encoder_of: EncoderOf) -> Mapping[str, tuple[float, float]]:
    """What a snapshot carries so that every reader of it scores alike: for each vector space a scale for words and one for
    pictures, (low, high) each, by `scale.names_of`. Raises KhungError when a space has no encoder."""
    found = dict(_named("", measure(snapshot.vectors, encoder_of(snapshot.fingerprint))))
    for fingerprint, vectors in snapshot.others.items():
        found |= _named(fingerprint, measure_few(vectors, encoder_of(fingerprint)))
    return found


def _named(fingerprint: str, scales: Scales) -> dict[str, tuple[float, float]]:
    pairs = zip(names_of(fingerprint), (scales.text, scales.image), strict=True)
    return {name: (scale.low, scale.high) for name, scale in pairs}


def complaints(snapshot: SnapshotLike, encoder_of: EncoderOf) -> Iterator[str]:
    """What is wrong, in sentences. Some frames, spread over the library, are looked for by their look and by their caption.

    Any channel that does not answer is wrong. Captions are wrong when more than half do not find themselves: one alone may
    read as a command ("A, then B"), or as many better frames do.
    """
    engine = Engine(snapshot, encoder_of=encoder_of, timeouts_s=PATIENT)
    records = _some(snapshot)
    for record in records:
        _, silent = _ask(engine, SearchRequest(like=record.frame_id, limit=FOUND_WITHIN))
        yield from silent
    told = [record for record in records if record.description.captions.get("vi")]
    missed = []
    for record in told:
        found, silent = _ask(engine, SearchRequest(text=_caption(record), limit=FOUND_WITHIN))
        yield from silent
        if not silent and _caption(record) not in map(_caption, found):
            missed.append(_caption(record))
    if len(missed) > len(told) / 2:
        yield f"{len(missed)} of {len(told)} captions do not find themselves, such as “{missed[0]}”"


def _some(snapshot: SnapshotLike) -> list[FrameRecord]:
    frames = Frames(snapshot.records)
    places = np.unique(np.linspace(0, len(frames) - 1, ASKED).astype(int)) if len(frames) else []
    return snapshot.records.frames([frames.frame_id(int(place)) for place in places])


def _ask(engine: Engine, request: SearchRequest) -> tuple[list[FrameRecord], list[str]]:
    """The frames found, and which channels did not answer."""
    name = f"“{request.text}”" if request.text else f"frames like {request.like}"
    try:
        result = engine.search(request)
    except KhungError as error:
        return [], [f"{name}: {error}"]
    silent = [f"{name}: the channel {part.channel} does not answer ({part.reason})" for part in result.degraded]
    return [hit.record for hit in result.hits], silent


def _caption(record: FrameRecord) -> str:
    return record.description.captions.get("vi", "")
