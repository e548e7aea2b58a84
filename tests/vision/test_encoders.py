"""The encoder for vectors that exist is found by their fingerprint; what has no encoder is refused by both names."""

from pathlib import Path

import pytest

from khung.errors import ModelFileMissing, VectorSpaceMismatch
from khung.settings import EmbedderSettings, Settings
from khung.vision.encoders import load_encoder
from khung.vision.load import fingerprints, load_embedder


def settings(profile: str = "gpu", models_dir: Path = Path("nowhere"), **held) -> Settings:
    return Settings(_env_file=None, profile=profile, models_dir=models_dir, embedder=EmbedderSettings(**held))


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "made", "held"),
    [
        ("gme-2b", "gme", {"image_tokens": 100}),
        ("qwen3-vl-embedding-2b", "qwen3vl", {"image_tokens": 64, "dim": 64}),
        ("siglip2-base", "siglip2", {}),
    ],
)
def test_vectors_of_an_older_choice_keep_their_encoder(tiny, tmp_path, name, made, held):
    """The settings have moved on to another model, precision and token cap."""
    (tmp_path / name).symlink_to(tiny(made))
    before = settings(models_dir=tmp_path, name=name, dtype="float32", device="cpu", **held)
    now = settings(models_dir=tmp_path, name="gme-7b", image_tokens=400, device="cpu")
    fingerprint = load_embedder(before).fingerprint
    found = load_encoder(now, fingerprint)
    assert found.fingerprint == fingerprint != fingerprints(now).embedder


@pytest.mark.torch
def test_the_folder_of_ones_own_is_used_when_it_fits(tiny):
    own = settings(name="gme-2b", folder=tiny("gme"), dtype="float32", device="cpu", image_tokens=64)
    wanted = fingerprints(own).embedder
    assert load_encoder(own.model_copy(update={"profile": "cpu"}), wanted).fingerprint == wanted


def test_the_models_files_may_be_missing_and_say_how_to_get_them(tmp_path):
    before = fingerprints(settings(models_dir=tmp_path, name="qwen3-vl-embedding-8b")).embedder
    with pytest.raises(ModelFileMissing, match="khung models pull qwen3-vl-embedding-8b"):
        load_encoder(settings("embedded", tmp_path), before)


@pytest.mark.parametrize(
    "theirs",
    [
        "gme-2b@" + "0" * 40 + "/bfloat16/tokens-640/sequential/1",  # another commit
        "gme-2b@ce765ae71b8cdb208203cd8fb64a170b1b84293a/bfloat16/tokens-640/mrope/1",  # another way to count positions
        "clip-vit@x/float32/y",
        "conse/0123",
        "",
    ],
)
def test_a_space_that_nobody_here_can_ask_is_refused_by_both_names(theirs, tmp_path):
    mine = settings(models_dir=tmp_path)
    with pytest.raises(VectorSpaceMismatch) as told:
        load_encoder(mine, theirs)
    assert theirs in str(told.value) and fingerprints(mine).embedder in str(told.value)
    assert "KHUNG_EMBEDDER_NAME" in told.value.cure


@pytest.mark.models
def test_the_embedded_library_stays_searchable_after_the_profile_changed(models_dir):
    fingerprint = fingerprints(settings("embedded", models_dir)).embedder
    encoder = load_encoder(settings("gpu", models_dir), fingerprint)
    assert encoder.fingerprint == fingerprint
    assert encoder.embed_texts(["con mèo"]).shape == (1, encoder.dim)
