"""The large models as the settings ask for them: a card's weights become an Embedder or a Describer.

A model that no pull brought still has a fingerprint (its card's revision, or `unpulled`), so that staleness can be told anywhere.
What each model computes is in its own file; which one runs is `load.py`'s choice.
"""

import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from khung.errors import ConfigError, ModelFileMissing
from khung.settings import DescriberSettings, EmbedderSettings, LargeModelSettings, Settings
from khung.vision import Embedder, fleet, gme, openai_describer, qwen3_vl, siglip, towers, vlm
from khung.vision.cards import CARDS, ModelCard
from khung.vision.checkpoint import Checkpoint
from khung.vision.speaking import Speaker, SpeakingDescriber
from khung.vision.worker import Worker

SERVER = "server"
"""The describer's name when OpenAI-compatible servers describe."""

DTYPES = {"embedded": "float32", "cpu": "float32", "gpu": "bfloat16"}

_kept: dict[str, SpeakingDescriber] = {}
_keeping = threading.Lock()


def embedder(settings: Settings, name: str, held: EmbedderSettings) -> Embedder:
    """The Embedder of a card, in this process or in one for each device. Raises ModelFileMissing, ModelError, ConfigError."""
    _ready(_checkpoint(_card(name, "embedder"), settings, held))
    make = partial(embedder_here, settings, name, held)
    return fleet.FleetEmbedder(_workers(make)) if held.run_in == "devices" else make()


def embedder_here(settings: Settings, name: str, held: EmbedderSettings) -> towers.TowerEmbedder:
    """The same, in this process: what a worker makes."""
    card = _card(name, "embedder")
    weights = _checkpoint(card, settings, held)
    if card.family == "gme":
        return towers.TowerEmbedder(gme.GmeTower(weights, most_tokens=held.image_tokens))
    if card.family == "qwen3-vl-embedding":
        return towers.TowerEmbedder(qwen3_vl.Qwen3Tower(weights, most_tokens=held.image_tokens, dim=held.dim))
    return towers.TowerEmbedder(siglip.SiglipTower(weights))


def embedder_fingerprint(settings: Settings, name: str, held: EmbedderSettings) -> str:
    """Of `embedder(…)`, without loading it."""
    card = _card(name, "embedder")
    identity = _identity(card, settings, held)
    if card.family == "gme":
        return gme.fingerprint_of(identity, held.image_tokens)
    if card.family == "qwen3-vl-embedding":
        return qwen3_vl.fingerprint_of(identity, held.image_tokens, held.dim)
    return siglip.fingerprint_of(identity)


def describer(settings: Settings, name: str) -> SpeakingDescriber:
    """The Describer of a card or of the servers. One is kept in the process: a reader of the same answers shares it."""
    held = settings.describer
    key = f"{describer_fingerprint(settings, name)} {held.folder} {held.device} {held.attention} {held.servers}"
    with _keeping:
        if key not in _kept:
            _kept.clear()
            _kept[key] = SpeakingDescriber(_speaker(settings, name))
        return _kept[key]


def describer_fingerprint(settings: Settings, name: str) -> str:
    """Of `describer(…)`, without loading it or asking a server."""
    held = settings.describer
    if name == SERVER:
        return openai_describer.fingerprint_of(_served(held))
    return vlm.fingerprint_of(
        _identity(_card(name, "describer"), settings, held), held.image_tokens, held.answer_tokens
    )


def _speaker(settings: Settings, name: str) -> Speaker:
    held = settings.describer
    if name == SERVER:
        return openai_describer.connect(held.servers, _served(held), key=held.api_key.get_secret_value())
    _ready(_checkpoint(_card(name, "describer"), settings, held))
    make = partial(speaker_here, settings, name)
    return fleet.FleetSpeaker(_workers(make)) if held.run_in == "devices" else make()


def speaker_here(settings: Settings, name: str) -> vlm.VlmSpeaker:
    """The describing model in this process: what a worker makes."""
    held = settings.describer
    weights = _checkpoint(_card(name, "describer"), settings, held)
    return vlm.VlmSpeaker(weights, most_tokens=held.image_tokens, answer_tokens=held.answer_tokens)


def _ready(weights: Checkpoint) -> None:
    """Before anything is loaded, or a process started for nothing. Raises ModelFileMissing, ConfigError."""
    weights.check()
    if missing := [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]:
        raise ConfigError(f"{weights.name} needs {' and '.join(missing)}.", cure="See docs/how-to/gpu.md.")


def _workers(make: Callable[[], Any]) -> list[Worker]:
    """One a device, all loading at the same time. When one cannot, the others are ended."""
    environments = fleet.visible_devices()
    with ThreadPoolExecutor(len(environments)) as pool:
        started = [pool.submit(Worker, make, environment) for environment in environments]
    failed = [error for job in started if (error := job.exception())]
    if failed:
        for job in started:
            if not job.exception():
                job.result().close()
        raise failed[0]
    return [job.result() for job in started]


def _served(held: DescriberSettings) -> openai_describer.ServedModel:
    return openai_describer.ServedModel(
        held.served_as, held.revision, most_tokens=held.image_tokens, answer_tokens=held.answer_tokens
    )


def _card(name: str, kind: str) -> ModelCard:
    cards = {card.name: card for card in CARDS.values() if card.kind == kind}
    if name not in cards:
        others = {"embedder": "conse", "describer": f"composed, {SERVER}"}[kind]
        cure = f"Set KHUNG_{kind.upper()}_NAME to one of: {others}, {', '.join(cards)}."
        raise ConfigError(f"There is no {kind} “{name}”.", cure=cure)
    return cards[name]


def _checkpoint(card: ModelCard, settings: Settings, held: LargeModelSettings) -> Checkpoint:
    return Checkpoint(
        card.name,
        held.folder or card.folder(settings.models_path),
        dtype=held.dtype or DTYPES[settings.profile],
        quantisation=held.quantisation,
        attention=held.attention,
        device=held.device,
    )


def _identity(card: ModelCard, settings: Settings, held: LargeModelSettings) -> str:
    weights = _checkpoint(card, settings, held)
    try:
        return weights.identity
    except ModelFileMissing:
        return weights.identity_at(card.revision or "unpulled")
