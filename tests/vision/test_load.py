"""Profiles and single choices: which models the settings load, and that their fingerprints are known beforehand."""

import subprocess
import sys

import numpy as np
import pytest

from khung.errors import ConfigError, ModelFileMissing
from khung.settings import DescriberSettings, EmbedderSettings, Settings
from khung.vision.load import (
    choice,
    fingerprints,
    load_describer,
    load_embedder,
    load_fallback,
    load_reader,
    load_vision,
)

IMAGE = np.random.default_rng(3).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def _with(profile: str = "gpu", **fields) -> Settings:
    return Settings(_env_file=None, profile=profile, **fields)


def _held(folder, **fields) -> dict:
    return {"folder": folder, "device": "cpu", "dtype": "float32", "image_tokens": 64} | fields


def test_a_profile_names_its_models_and_each_can_be_replaced():
    assert choice(_with("embedded")).embedder == "conse"
    assert choice(_with("cpu")).embedder == "siglip2-base"
    chosen = choice(_with("gpu"))
    assert (chosen.embedder, chosen.describer, chosen.fallback) == ("gme-2b", "qwen3-vl-4b", "siglip2-base")
    own = _with("gpu", embedder=EmbedderSettings(name="qwen3-vl-embedding-8b"), fallback_name="none")
    assert (choice(own).embedder, choice(own).describer) == ("qwen3-vl-embedding-8b", "qwen3-vl-4b")
    assert load_fallback(own) is None
    assert (choice(_with("gpu")).reader, choice(_with("embedded")).reader) == ("both", "screen-text")
    assert choice(_with("gpu", describer=DescriberSettings(name="composed"))).reader == "screen-text"


@pytest.mark.parametrize(
    ("fields", "cure"),
    [
        ({"embedder": EmbedderSettings(name="gme-3b")}, "KHUNG_EMBEDDER_NAME.*gme-2b"),
        ({"embedder": EmbedderSettings(name="qwen3-vl-4b")}, "KHUNG_EMBEDDER_NAME"),
        ({"describer": DescriberSettings(name="gme-2b")}, "KHUNG_DESCRIBER_NAME.*server"),
        ({"reader_name": "abbyy"}, "KHUNG_READER_NAME"),
        ({"describer": DescriberSettings(name="composed"), "reader_name": "describer"}, "reads no text"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_ones(fields, cure):
    with pytest.raises(ConfigError, match=cure):
        fingerprints(_with(**fields))


def test_weights_that_are_not_there_name_the_pull(tmp_path):
    with pytest.raises(ModelFileMissing, match="khung models pull gme-2b"):
        load_embedder(_with(models_dir=tmp_path))
    with pytest.raises(ModelFileMissing, match="khung models pull siglip2-base"):
        load_embedder(_with("cpu", models_dir=tmp_path))
    with pytest.raises(ModelFileMissing, match="khung models pull qwen3-vl-4b"):
        load_describer(_with(models_dir=tmp_path))


def test_fingerprints_are_known_before_a_pull(tmp_path):
    found = fingerprints(_with(models_dir=tmp_path))
    assert found.embedder.startswith("gme-2b@ce765ae71b8c")
    assert "bfloat16" in found.embedder
    assert found.describer.startswith("qwen3-vl-4b@unpulled/")
    assert "float32" in fingerprints(_with("cpu", models_dir=tmp_path)).embedder


def test_knowing_the_fingerprints_loads_no_heavy_library():
    code = (
        "import sys; from khung.settings import Settings; from khung.vision.load import fingerprints;"
        "fingerprints(Settings(profile=sys.argv[1]));"
        "print([m for m in ('torch', 'transformers', 'openvino', 'cv2', 'tesserocr') if m in sys.modules])"
    )
    for profile in ("embedded", "cpu", "gpu"):
        done = subprocess.run([sys.executable, "-c", code, profile], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", profile


@pytest.mark.models
def test_the_embedded_models_have_the_fingerprints_foretold(models_dir):
    settings = _with("embedded", models_dir=models_dir)
    vision, told = load_vision(settings), fingerprints(settings)
    assert (vision.embedder.fingerprint, vision.describer.fingerprint, vision.reader.fingerprint) == (
        told.embedder,
        told.describer,
        told.reader,
    )


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "made", "fields"),
    [("gme-2b", "gme", {}), ("qwen3-vl-embedding-2b", "qwen3vl", {"dim": 64}), ("siglip2-base", "siglip2", {})],
)
def test_a_large_embedder_has_the_fingerprint_foretold(tiny, name, made, fields):
    settings = _with(embedder=EmbedderSettings(name=name, **_held(tiny(made), **fields)))
    embedder = load_embedder(settings)
    assert embedder.fingerprint == fingerprints(settings).embedder
    assert embedder.fingerprint.startswith(f"{name}@local-")
    assert embedder.embed_images([IMAGE]).shape == (1, embedder.dim)


@pytest.mark.torch
def test_a_describer_and_the_reader_of_its_answers_are_one_model(tiny):
    held = DescriberSettings(name="qwen3-vl-4b", answer_tokens=64, **_held(tiny("qwen3vl")))
    settings = _with(describer=held, reader_name="describer")
    describer, reader, told = load_describer(settings), load_reader(settings), fingerprints(settings)
    assert (describer.fingerprint, reader.fingerprint) == (told.describer, told.reader)
    assert reader._describer is describer
    assert load_describer(settings) is describer


@pytest.mark.torch
@pytest.mark.models
def test_the_gpu_profile_reads_by_both(tiny, models_dir):
    held = DescriberSettings(name="qwen3-vl-4b", answer_tokens=64, **_held(tiny("qwen3vl")))
    settings = _with(describer=held, models_dir=models_dir)
    reader = load_reader(settings)
    assert reader.fingerprint == fingerprints(settings).reader
    assert len(reader.read([IMAGE])) == 1


def test_servers_describe_when_they_are_named():
    held = DescriberSettings(name="server", servers=("http://127.0.0.1:9/v1",), served_as="vl", revision="abc")
    settings = _with(describer=held)
    assert load_describer(settings).fingerprint == fingerprints(settings).describer
    assert fingerprints(settings).describer.startswith("openai:vl@abc/")
    with pytest.raises(ConfigError, match="KHUNG_DESCRIBER_REVISION"):
        load_describer(_with(describer=held.model_copy(update={"revision": ""})))


@pytest.mark.torch
def test_the_fallback_is_another_space(tiny, tmp_path):
    (tmp_path / "siglip2-base").symlink_to(tiny("siglip2"))
    held = EmbedderSettings(name="gme-2b", **_held(tiny("gme")))
    settings = _with(models_dir=tmp_path, embedder=held)
    fallback = load_fallback(settings)
    assert fallback is not None
    assert fallback.fingerprint.startswith("siglip2-base@")
    assert fallback.fingerprint != load_embedder(settings).fingerprint
