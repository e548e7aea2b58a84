"""What `khung search` prints, for people and for programs, over a real snapshot asked by the tests' own encoder.

The command as a process, with the encoder that it loads itself, is asked in tests/services/test_profile.py.
"""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_home import ColourEmbedder, build
from typer.testing import CliRunner

from khung.cli import app
from khung.search.engine import Engine
from khung.shards.shelf import Shelf


@pytest.fixture(scope="module")
def engine(tmp_path_factory, clips: Path):
    settings = build(tmp_path_factory.mktemp("searched"), clips)
    shelf = Shelf(settings.shelf_dir)
    with shelf.open(shelf.follow()) as snapshot:
        yield Engine(snapshot, ColourEmbedder())


@pytest.fixture
def search(engine, monkeypatch):
    @contextmanager
    def opened(**_):
        yield engine, engine.snapshot

    monkeypatch.setattr("khung.cli.search.opened_engine", opened)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["search", *arguments], catch_exceptions=False, terminal_width=200)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_programs_get_each_hit_with_its_whole_record(search):
    told = json.loads(search("biển đen của Google trên tường", "--limit", "2", "--json"))
    assert told["parsed"]["language"] == "vi" and told["snapshot_id"] and told["sheet"] is None
    first = told["hits"][0]
    assert [*first] == ["record", "score", "channels", "more_in_video", "chain"]
    assert first["record"]["keyframe"]["video_id"] == "googlework_short"
    assert "Google" in first["record"]["description"]["captions"]["vi"]
    assert first["channels"]["text"]["why"]
    assert first["chain"] == []


def test_the_steps_of_a_sequence_are_told_alike(search):
    told = json.loads(search("biển đen của Google rồi tường", "--json"))
    (step,) = told["hits"][0]["chain"]
    assert step["record"]["keyframe"]["video_id"] == told["hits"][0]["record"]["keyframe"]["video_id"]


def test_people_get_a_table(search):
    assert "googlework_short" in search("biển đen của Google trên tường")
