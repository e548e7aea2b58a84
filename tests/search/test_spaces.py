"""Frames of two models in one snapshot: each space is asked with its own encoder, and the answers lie side by side."""

from dataclasses import replace

import numpy as np
import pytest

from khung.errors import ModelFileMissing, NotFound, VectorSpaceMismatch
from khung.records import vector_id
from khung.search.canaries import complaints, normalisers
from khung.search.engine import Engine, SearchRequest
from khung.stores import FrameFilter, vectors_build, vectors_faiss
from tests.search.conftest import DIM, WordEmbedder, direction

FALLEN = "street/500"  # a dog at night


class Backwards(WordEmbedder):
    """Another model: other directions for the same words, and another number of dimensions."""

    fingerprint, dim = "backwards-1", DIM // 2

    def embed_texts(self, texts):
        half = np.stack([direction("".join(reversed(text)))[: self.dim] for text in texts])
        return half / np.linalg.norm(half, axis=1, keepdims=True)

    def embed_images(self, images):
        return self.embed_texts([f"pixel {image[0, 0].tolist()}" for image in images])


@pytest.fixture(scope="module")
def mixed(street, tmp_path_factory):
    """The street, whose night dog has a vector of the other model only: of the words “chó đêm”."""
    folder = tmp_path_factory.mktemp("mixed")
    for name in ("own", "other"):
        (folder / name).mkdir()
    gone = vector_id(FALLEN)
    ids = street.vectors.ids()[street.vectors.ids() != gone]
    policy = vectors_build.IndexPolicy()
    vectors_build.write_part(folder / "own", ids, street.vectors.stored(ids), policy)
    theirs = Backwards().embed_texts(["chó đêm"])
    vectors_build.write_part(folder / "other", np.array([gone]), theirs, policy)
    others = {Backwards.fingerprint: vectors_faiss.FaissVectors([folder / "other"], Backwards.dim)}
    return replace(street, vectors=vectors_faiss.FaissVectors([folder / "own"], DIM), others=others)


def encoders(*given):
    by_name = {one.fingerprint: one for one in given}

    def encoder_of(fingerprint):
        if fingerprint not in by_name:
            raise VectorSpaceMismatch(f"Nobody asks {fingerprint}.", cure="khung models pull")
        return by_name[fingerprint]

    return encoder_of


def vector_only(text, **more):
    return SearchRequest(text, preset="vector only", **more)


BOTH = encoders(WordEmbedder(), Backwards())


def test_a_frame_is_found_in_the_space_that_it_is_in(mixed):
    engine = Engine(mixed, encoder_of=BOTH)
    result = engine.search(vector_only("chó đêm"))
    assert result.degraded == []
    found = [hit.record.frame_id for hit in result.hits]
    assert FALLEN in found and len(set(found)) == len(found)
    (hit,) = [h for h in result.hits if h.record.frame_id == FALLEN]
    assert hit.channels["vector"].raw == pytest.approx(1.0, abs=1e-3), "asked with its own encoder"
    assert hit.channels["vector"].why == "looks like the words"
    assert engine.encoders == {"words-1": True, "backwards-1": True}


def test_filters_act_in_every_space(mixed):
    engine = Engine(mixed, encoder_of=BOTH)
    for videos, expected in ((("street",), True), (("sea", "kitchen"), False)):
        hits = engine.search(vector_only("chó đêm", where=FrameFilter(videos=videos))).hits
        assert (FALLEN in [hit.record.frame_id for hit in hits]) is expected


def test_without_the_other_encoder_the_rest_answers_and_it_is_named(mixed):
    result = Engine(mixed, encoder_of=encoders(WordEmbedder())).search(vector_only("con chó"))
    assert [(d.channel, d.reason) for d in result.degraded] == [("vector_fallback", "VectorSpaceMismatch")]
    assert "backwards-1" in result.degraded[0].detail
    assert result.hits and FALLEN not in [hit.record.frame_id for hit in result.hits]


def test_the_other_space_alone_does_not_pass_for_the_library(mixed):
    result = Engine(mixed, encoder_of=encoders(Backwards())).search(SearchRequest("con chó ban đêm"))
    assert [d.channel for d in result.degraded] == ["vector"]
    assert all("vector" not in hit.channels for hit in result.hits)


def test_a_known_frame_is_looked_for_where_it_lies(mixed):
    engine = Engine(mixed, encoder_of=BOTH)
    assert engine.search(SearchRequest(like="street/0")).hits
    alone = engine.search(SearchRequest(like=FALLEN))
    assert (alone.hits, alone.degraded) == ([], []), "nothing else is in its space"
    assert engine.search(SearchRequest("con mèo", like=FALLEN, less=(FALLEN,))).degraded == []
    with pytest.raises(NotFound, match="street/501"):
        engine.search(SearchRequest(like="street/501"))


def test_sequences_pass_through_both_spaces(mixed):
    result = Engine(mixed, encoder_of=BOTH).search(SearchRequest("ô tô rồi chó đêm"))
    assert result.degraded == []
    assert any(hit.chain and hit.chain[0].record.frame_id == FALLEN for hit in result.hits)


def test_a_snapshot_carries_a_scale_for_each_space_and_is_asked_in_each(mixed):
    carried = normalisers(mixed, BOTH)
    assert set(carried) == {"vector_text", "vector_image", "vector_text:backwards-1", "vector_image:backwards-1"}
    assert carried["vector_image:backwards-1"] == (0.9, 1.0), "one frame tells nothing of strangers"
    whole = replace(mixed, normalisers=carried)
    engine = Engine(whole, encoder_of=BOTH)
    assert engine.channels.spaces[1].scales.text.high == pytest.approx(carried["vector_text:backwards-1"][1])
    assert list(complaints(whole, BOTH)) == []
    assert any("vector_fallback" in wrong for wrong in complaints(whole, encoders(WordEmbedder())))


def test_an_encoder_whose_file_is_missing_says_so_at_each_question(mixed):
    def missing(fingerprint):
        raise ModelFileMissing("The model gme-2b is not here.", cure="Run `khung models pull gme-2b`.")

    engine = Engine(mixed, encoder_of=missing)
    for _ in range(2):
        told = engine.search(SearchRequest("con chó")).degraded
        assert {d.channel for d in told} == {"vector", "vector_fallback"}
        assert all("khung models pull gme-2b" in d.detail for d in told)
