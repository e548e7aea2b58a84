"""Sentences composed from findings: grammar in both languages, and nothing that was not found."""

import pytest

from khung.records import Region
from khung.vision.compose import caption_en, caption_vi, describe
from khung.vision.recognise import Recognition
from khung.vision.vocabulary import image_classes, objects, scenes, vocabulary, words

BOX = (0.1, 0.1, 0.4, 0.9)


def _found(*labels: str, score: float = 0.9, **others) -> Recognition:
    nothing = dict(
        labels=(), kinds=(), emotions=(), colours=(), scene="unknown", place="unknown", time_of_day="unknown"
    )
    return Recognition(objects=tuple(Region(label, score, BOX) for label in labels), **nothing | others)


@pytest.mark.parametrize(
    ("found", "vietnamese", "english"),
    [
        (_found("person", "person", "car"), "Hai người và một chiếc ô tô.", "Two people and a car."),
        (_found("car", "person"), "Một người và một chiếc ô tô.", "A person and a car."),
        (_found(*["person"] * 14), "Nhiều người.", "Many people."),
        (_found("umbrella", "elephant"), "Một con voi và một chiếc ô.", "An elephant and an umbrella."),
        (_found("car", scene="street", place="outdoor", time_of_day="day"),
         "Một chiếc ô tô; có thể là đường phố, ban ngày.", "A car; possibly a street by day."),
        (_found(labels=(("sulphur-crested cockatoo", 0.7),)), "Có vẹt mào trắng.", "A sulphur-crested cockatoo."),
        (_found(labels=(("beagle dog", 0.3),), kinds=(("dog", 0.9),)), "Có chó.", "A dog."),
        (_found(labels=(("jeans", 0.3),)), "Có thể là quần bò.", "Possibly jeans."),
        (_found("person", emotions=("happy",)), "Một người; gương mặt vui vẻ.", "A person; a face that looks happy."),
        (_found(colours=("black", "blue")), "Khung hình chủ yếu màu đen và xanh dương.", "A mostly black and blue frame."),
        (_found(), "Không nhận ra gì.", "Nothing was recognised."),
        (_found("tv", score=0.5, colours=("grey",)), "Khung hình chủ yếu màu xám.", "A mostly grey frame."),
    ],
)  # fmt: skip
def test_sentences(found, vietnamese, english):
    assert caption_vi(found) == vietnamese
    assert caption_en(found) == english


def test_the_subject_is_not_said_twice():
    assert (
        caption_en(_found("person", labels=(("traffic light", 0.9),), scene="street")) == "A person; possibly a street."
    )


def test_a_composed_description_says_so_and_keeps_unsure_objects():
    found = describe(_found("tv", "car", score=0.5))
    assert found.origin == "composed"
    assert len(found.objects) == 2
    assert found.confidence is None


def test_every_object_has_a_sentence_in_both_languages():
    for thing in objects():
        assert thing.vi in caption_vi(_found(thing.en))
        assert thing.plural in caption_en(_found(thing.en, thing.en))


def test_the_tables_fit_together():
    names = {c.en for c in image_classes()}
    assert len(image_classes()) == len(names) == 1000
    assert len(objects()) == 80
    for scene in scenes():
        assert scene.place in {"indoor", "outdoor", "unknown"}
        assert set(scene.classes) <= names, scene
        assert {name for sign in scene.signs for name, _ in sign} <= vocabulary("object"), scene
    assert {c.kind for c in image_classes() if c.kind} <= {en for which, en in words() if which == "kind"}
