"""Tiny model folders, made once a session (tests/support/tiny_models.py). Tests that use them carry the marker `torch`."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny("gme")`: the folder that tests.support.tiny_models.gme makes, made at the first call."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from transformers.utils import logging

    from tests.support import tiny_models

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = getattr(tiny_models, name)(tmp_path_factory.mktemp("models") / name)
        return made[name]

    return folder
