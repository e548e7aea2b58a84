"""The lexicon speaks the words of what was recognised, and of both languages."""

from importlib import resources

import pytest

from khung.search.query import parse
from khung.stores.records_duckdb import LISTS, SCALARS
from khung.text.forms import strip_marks
from khung.vision.vocabulary import objects

FIELDS = {"colour": "colors", "emotion": "emotions", "place": "place", "time": "time_of_day", "weather": "weather"}


@pytest.mark.parametrize("thing", objects(), ids=lambda t: t.en)
def test_every_object_is_known_by_its_names(thing):
    for name in (f"obj:{thing.en}".replace(" ", "_"),):
        assert parse(name.replace(f"obj:{thing.en.replace(' ', '_')}", f'obj:"{thing.en}"')).where.objects == (
            thing.en,
        )
    for said in (thing.plural, f"{thing.counter} {thing.vi}".strip()):
        found = [f.values for e in parse(said).events for f in e.facets if f.field == "objects"]
        assert (thing.en,) in found, said


VOCABULARIES = [
    row.split("\t") for row in resources.files("khung.vision").joinpath("data", "vlm.tsv").read_text().splitlines()
]


@pytest.mark.parametrize("which,en,vi", [row for row in VOCABULARIES if row[0] in FIELDS])
def test_every_word_that_a_describer_may_say_can_be_asked_for(which, en, vi):
    name = {"colour": "color"}.get(which, which)
    for said in (en, vi):
        assert en in parse(f'{name}:"{said}"').where.facets[FIELDS[which]], said


def test_facets_are_fields_that_the_records_know():
    assert {"objects", "colors", "time_of_day", "weather", "place", "emotions"} <= {*LISTS, *SCALARS}


def test_scene_in_vietnamese():
    assert parse('scene:"đường phố" xe').where.facets == {"scene_type": ("street",)}


def test_a_word_without_marks_is_not_believed_to_be_every_word():
    for bare, field in (
        ("tim", "colors"),
        ("do", "colors"),
        ("den", "colors"),
        ("cam", "colors"),
        ("dao", "objects"),
        ("voi", "objects"),
        ("mua", "weather"),
        ("nang", "weather"),
        ("ban", "objects"),
    ):
        assert not [f for e in parse(f"con duong {bare}").events for f in e.facets if f.field == field], bare
    assert strip_marks("màu tím") == "mau tim"
    assert parse("mau tim").events[0].facets[0].values == ("purple",)
