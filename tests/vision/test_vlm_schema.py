"""The door to what a language model says: only the schema's fields, only words of the vocabularies, clean text."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.errors import ModelError
from khung.vision import vlm_schema as schema
from khung.vision.vocabulary import objects, scenes, words

GOOD = {
    "caption": {"vi": "Một người phụ nữ mặc áo dài đi bộ trên phố.", "en": "A woman in an ao dai walks in a street."},
    "text_in_image": ["THỜI SỰ", "19:00"],
    "objects": ["person", "ao dai"],
    "actions": ["walking"],
    "emotions": ["calm"],
    "colors": ["red", "white"],
    "scene_type": "street",
    "time_of_day": "evening",
    "weather": "unknown",
    "location_type": "outdoor",
}


def answer(**changes) -> str:
    return json.dumps(GOOD | changes)


class TestAnswers:
    def test_a_good_one_becomes_a_description(self):
        said = schema.parse(answer()).description(0.8)
        assert said.captions["vi"].startswith("Một người phụ nữ") and said.origin == "generated"
        assert [region.label for region in said.objects] == ["person", "ao dai"]
        assert (said.scene_type, said.time_of_day, said.weather, said.place) == (
            "street",
            "evening",
            "unknown",
            "outdoor",
        )
        assert said.confidence == 0.8 and said.colors == ("red", "white")

    def test_without_probabilities_the_confidence_is_null_not_invented(self):
        assert schema.parse(answer()).description().confidence is None

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"scene_type": "disco"}, "scene_type"),
            ({"objects": ["unicorn"]}, "objects"),
            ({"objects": ["unknown"]}, "objects"),
            ({"objects": ["person"] * 13}, "objects"),
            ({"caption": {"vi": "a"}}, "caption.en"),
            ({"caption": {"vi": "", "en": "a"}}, "caption.vi"),
            ({"caption": {"vi": "a" * 241, "en": "a"}}, "caption.vi"),
            ({"text_in_image": "one"}, "text_in_image"),
            ({"mood": "x"}, "mood"),
            ({"weather": None}, "weather"),
        ],
    )
    def test_a_bad_one_is_refused_by_field(self, changes, field):
        with pytest.raises(ModelError, match=field.replace(".", r"\.")):
            schema.parse(answer(**changes))

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", '"' * 3, "```json\n{}\n```", answer()[:-1], answer() + "x"]
    )
    def test_what_is_not_such_an_object_is_refused(self, text):
        with pytest.raises(ModelError):
            schema.parse(text)

    def test_text_is_composed_and_on_one_line(self):
        decomposed = unicodedata.normalize("NFD", "Chợ nổi")
        said = schema.parse(
            answer(caption={"vi": f" {decomposed}\n\tCái\x00 Răng ", "en": "a"}, text_in_image=["a\nb", " "])
        )
        assert said.caption.vi == "Chợ nổi Cái Răng"
        assert said.text_in_image == ["a b"]

    def test_a_word_twice_is_a_word_once(self):
        assert schema.parse(answer(objects=["person", "car", "person"])).objects == ["person", "car"]

    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=20), lambda c: st.lists(c, max_size=4) | st.dictionaries(st.sampled_from([*GOOD, "x"]), c, max_size=5), max_leaves=12))  # fmt: skip
    def test_any_json_is_an_answer_or_a_model_error(self, value):
        try:
            schema.parse(json.dumps(value))
        except ModelError:
            return
        raise AssertionError(f"{value} is no answer")


class TestVocabularies:
    def test_every_word_has_both_languages_once(self):
        for which, names in schema.vocabularies().items():
            assert len(names) >= 2, which
            for en, vi in names.items():
                assert en.strip() == en and vi.strip() == vi and en and vi
                assert unicodedata.normalize("NFC", vi) == vi and en.isascii()
                assert '"' not in en and "," not in en

    def test_the_embedded_models_words_are_among_them(self):
        words = schema.vocabularies()
        assert {thing.en for thing in objects()} <= set(words["object"])
        assert {scene.en for scene in scenes()} <= set(words["scene"])

    def test_the_prompt_lists_what_the_schema_allows(self):
        for field, (which, most) in schema.FIELDS.items():
            part = schema.schema()["properties"][field]
            allowed = part["enum"] if most == 1 else part["items"]["enum"]
            assert [word for word in allowed if word != "unknown"] == list(schema.vocabularies()[which])
            assert f"\n{field}: {', '.join(schema.vocabularies()[which])}" in schema.prompt()

    def test_another_word_is_another_fingerprint(self, monkeypatch):
        before = schema.prompt_fingerprint()
        monkeypatch.setattr(schema, "SYSTEM", "Say something.")
        schema.prompt_fingerprint.cache_clear()
        after = schema.prompt_fingerprint()
        schema.prompt_fingerprint.cache_clear()
        assert before != after and before.startswith("p1-")


@pytest.mark.parametrize("which", ["colour", "emotion", "place", "time", "object", "scene"])
def test_both_describers_say_the_same_words(which):
    """One closed vocabulary: what the composed sentences may say is a part of it, by the same Vietnamese name."""
    composed = {en: word.vi for (kind, en), word in words().items() if kind == which}
    composed |= {thing.en: thing.vi for thing in {"object": objects, "scene": scenes}.get(which, tuple)()}
    assert composed
    assert composed.items() <= schema.vocabularies()[which].items()
