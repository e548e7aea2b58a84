"""The large models in worker processes, as the settings ask for them: the same numbers and words as in this process."""

import subprocess
import sys

import numpy as np
import pytest

from khung.errors import ConfigError, ModelFileMissing
from khung.settings import DescriberSettings, EmbedderSettings, Settings
from khung.vision import large
from tests.support.tiny_models import picture

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def held(kind, folder, **fields):
    return kind(folder=folder, device="cpu", dtype="float32", image_tokens=64, **fields)


def test_an_embedder_in_a_worker(tiny):
    here = held(EmbedderSettings, tiny("gme"))
    settings = Settings(_env_file=None, profile="gpu", embedder=here)
    images = [picture(seed) for seed in range(5)]
    expected = large.embedder(settings, "gme-2b", here)
    embedder = large.embedder(settings, "gme-2b", here.model_copy(update={"run_in": "devices"}))
    try:
        assert (embedder.fingerprint, embedder.dim) == (expected.fingerprint, expected.dim)
        assert np.abs(embedder.embed_images(images) - expected.embed_images(images)).max() < 1e-6
        assert np.abs(embedder.embed_texts(["chợ"]) - expected.embed_texts(["chợ"])).max() < 1e-6
    finally:
        embedder.close()


def test_a_describer_in_a_worker(tiny):
    there = held(DescriberSettings, tiny("qwen25vl"), answer_tokens=64, run_in="devices")
    settings = Settings(_env_file=None, profile="gpu", describer=there)
    describer = large.describer(settings, "qwen3-vl-4b")
    assert describer.fingerprint == large.describer_fingerprint(settings, "qwen3-vl-4b")
    (said,) = describer.describe([picture(1)])
    assert said.captions["vi"] and said.captions["en"] and 0 < said.confidence < 1


def test_what_is_missing_is_told_as_in_this_process(tmp_path):
    settings = Settings(_env_file=None, profile="gpu", models_dir=tmp_path)
    with pytest.raises(ModelFileMissing, match="khung models pull gme-2b"):
        large.embedder(settings, "gme-2b", EmbedderSettings(run_in="devices"))


def test_without_torch_it_says_where_to_read(tiny, monkeypatch):
    monkeypatch.setattr(large.importlib.util, "find_spec", lambda name: None)
    here = held(EmbedderSettings, tiny("gme"))
    with pytest.raises(ConfigError, match=r"gme-2b needs torch and transformers\. See docs/how-to/gpu\.md"):
        large.embedder(Settings(_env_file=None, profile="gpu", embedder=here), "gme-2b", here)


def test_importing_the_models_imports_nothing_heavy():
    code = (
        "import importlib, pkgutil, sys, khung.vision as v\n"
        "for m in pkgutil.iter_modules(v.__path__): importlib.import_module(f'khung.vision.{m.name}')\n"
        "print([m for m in ('torch', 'transformers', 'openvino', 'cv2', 'PIL', 'llguidance') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
