"""The service asks each snapshot with the encoder of its own vectors, and says by name what it cannot ask."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

from khung.api import serving as serving_module
from khung.api.app import create_app
from khung.api.serving import Serving
from khung.errors import ModelFileMissing, VectorSpaceMismatch
from khung.search.encoders import QueryEncoders
from khung.search.engine import Engine, SearchRequest
from khung.shards.shelf import Shelf
from khung.shards.snapshot import rollback
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from tests.support.small_home import ColourEmbedder, add, copied, put_in_service, settings_for


class Recoloured(ColourEmbedder):
    """Another model: the same vectors under another name."""

    fingerprint = "colours-2"


PICTURE = SearchRequest(image=np.full((4, 4, 3), 200, np.uint8))


@pytest.fixture(scope="module")
def filled(tmp_path_factory, clips):
    """`(home, second)`: one video, published by two models; the first one is in service."""
    home = tmp_path_factory.mktemp("encoders")
    settings = settings_for(home)
    library, ledger = Library(LocalArchive(settings.archive_dir)), SqliteLedger(settings.ledger_path)
    video = add(library, ledger, clips / "nasa_13013.mp4")
    first = put_in_service(settings, [video])
    second = put_in_service(settings, [video], Recoloured.fingerprint)
    rollback(settings.shelf_dir, first)
    return home, second


@pytest.fixture
def home(tmp_path, filled):
    return copied(filled[0], tmp_path / "home"), filled[1]


def test_a_hot_swap_to_another_model_brings_its_encoder(home):
    settings, second = home
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings, [ColourEmbedder(), Recoloured()]))
    for fingerprint in ("colours-1", "colours-2"):
        assert serving.refresh()
        assert serving.fingerprint == fingerprint
        with serving.borrow() as here:
            answer = here.engine.search(PICTURE)
        assert answer.degraded == [], "the picture was asked, and of nobody else"
        rollback(settings.shelf_dir, second)
    serving.close()


def test_the_start_takes_the_snapshots_model_and_not_the_settings(home, tmp_path):
    """The settings choose a model that is not even here; the library was made by the one that is given."""
    settings, _ = home
    chosen = settings.embedder.model_copy(update={"name": "gme-7b"})
    other = settings.model_copy(update={"embedder": chosen, "models_dir": tmp_path})
    with TestClient(create_app(other, embedder=ColourEmbedder())) as client:
        assert client.get("/v1/status").json()["embedder"] == "colours-1"
        assert client.get("/v1/search", params={"q": "đỏ"}).json()["degraded"] == []


def test_a_space_that_nobody_can_ask_is_refused_by_both_names_with_the_cure(home):
    settings, second = home
    rollback(settings.shelf_dir, second)
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings, [ColourEmbedder()]))
    assert serving.refresh(), "the text channels still answer"
    assert serving.fingerprint == ""
    with serving.borrow() as here:
        (missing,) = here.engine.search(SearchRequest("tối")).degraded
        assert (missing.channel, missing.reason) == ("vector", "VectorSpaceMismatch")
        assert "colours-2" in missing.detail and "KHUNG_EMBEDDER_NAME" in missing.detail
        with pytest.raises(VectorSpaceMismatch, match="colours-2"):
            here.engine.search(PICTURE)
    serving.close()


def unwarmed(engine, ended):
    """That there is no room to warm an engine does not keep it from answering."""
    raise MemoryError


def test_an_encoder_that_was_missing_is_looked_for_again(home, monkeypatch):
    settings, _ = home
    found = []

    class Later(QueryEncoders):
        def _load(self, fingerprint):
            if not found:
                raise ModelFileMissing("The model is not here.", cure="Run `khung models pull`.")
            return super()._load(fingerprint)

    serving = Serving(Shelf(settings.shelf_dir), Later(settings, [ColourEmbedder()]))
    serving.refresh()
    assert serving.fingerprint == ""
    found.append("the file")
    serving.refresh()
    assert serving.fingerprint == "", "not at every look: loading may be expensive"
    monkeypatch.setattr(serving_module, "RETRY_S", -1.0)
    monkeypatch.setattr(Engine, "warm", unwarmed)
    serving.refresh()
    with serving.borrow() as here:
        assert here.engine.search(PICTURE).degraded == []
    assert serving.fingerprint == "colours-1"
    serving.close()


def test_a_crash_while_loading_is_no_crash_of_the_service(home, monkeypatch):
    settings, _ = home

    def full(settings, fingerprint):
        raise RuntimeError("CUDA out of memory. Tried to allocate 15 GiB\nand a long tale")

    monkeypatch.setattr("khung.search.encoders.load_encoder", full)
    serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(settings))
    assert serving.refresh()
    with serving.borrow() as here:
        (missing,) = here.engine.search(SearchRequest("tối")).degraded
    assert "CUDA out of memory" in missing.detail and "tale" not in missing.detail
    serving.close()
