"""Fusion learned from judged topics: LightGBM puts the best candidates of the fixed combination in a new order.

A model is a file with its evidence. It is used only if the evidence says that it won on topics it had not seen
(`learning.py` trains and judges) and if it was made over the same vector space; whoever loads another is told why not.
LightGBM is the optional extra `learned`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import ConfigError, CorruptError, VectorSpaceMismatch
from khung.records import FrameRecord
from khung.search.fusion import Found, Fused
from khung.search.parsed import Event, ParsedQuery
from khung.stores.durable import replace_file
from khung.text import marked, tokens

DEPTH = 100
"""Candidates that are put in a new order; their records are read."""
CHANNELS = ("vector", "text", "screen_text", "facets")
FEATURES = (
    *(f"{name}.{what}" for name in CHANNELS for what in ("raw", "normalised", "rank", "present")),
    *("fused", "english", "marks", "terms", "quoted", "conditions", "duplicates", "importance"),
)
VERSION = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the model did on held-out topics against the fixed combination, and how surely that was no chance."""

    topics: int
    folds: int
    fixed_mrr: float
    learned_mrr: float
    p: float
    level: float = 0.05

    @property
    def wins(self) -> bool:
        return self.learned_mrr > self.fixed_mrr and self.p < self.level

    def __str__(self) -> str:
        told = f"MRR {self.learned_mrr:.3f} against {self.fixed_mrr:.3f} of the fixed combination, p = {self.p:.3g}"
        return f"{told}, on {self.topics} held-out topics in {self.folds} folds"


@dataclass(frozen=True, slots=True)
class Candidates:
    """The best of one question by the fixed combination: ids and their columns of FEATURES."""

    ids: np.ndarray  # int64 (n,), best first
    features: np.ndarray  # float32 (n, len(FEATURES))


class LearnedFusion:
    """A model that has won. `read` refuses every other."""

    def __init__(self, model: str, evidence: Evidence, space: str) -> None:
        self.model, self.evidence, self.space = model, evidence, space
        self.fingerprint = _fingerprint(model, space)
        self._booster = _booster(model)

    def rescored(self, fused: Fused, candidates: Candidates) -> Fused:
        """The candidates in the learned order, all above the rest, which keep theirs. Scores stay in [0, 1], shares their
        proportions."""
        if not len(candidates.ids):
            return fused
        at = np.searchsorted(fused.ids, candidates.ids)
        raw = self._booster.predict(candidates.features, num_threads=1)
        scores = 0.5 * fused.scores
        scores[at] = 0.5 + 0.5 / (1 + np.exp(-np.clip(raw, -30, 30)))
        ratio = scores / np.maximum(fused.scores, 1e-9)
        return replace(fused, scores=scores, shares={name: share * ratio for name, share in fused.shares.items()})

    def write(self, path: Path) -> None:
        body = {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "space": self.space,
            "features": FEATURES,
            "evidence": asdict(self.evidence),
            "model": self.model,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(body, indent=1).encode())

    @classmethod
    def read(cls, path: Path, space: str = "") -> "LearnedFusion":
        """`space`: the fingerprint of the vectors that it shall rank; "" for any. Raises ConfigError when it did not win or is of
        another version, CorruptError when its text is not what was sealed, VectorSpaceMismatch."""
        body = _body(path)
        evidence = Evidence(**body["evidence"])
        if body["fingerprint"] != _fingerprint(body["model"], body["space"]):
            raise CorruptError(f"{path} is damaged: its fingerprint disagrees.", cure="Train it again.")
        if body["version"] != VERSION or tuple(body["features"]) != FEATURES:
            raise ConfigError(f"{path} was trained on other features.", cure="Train it again: khung fusion.")
        if not evidence.wins:
            raise ConfigError(
                f"{path} did not win: {evidence}.", cure="Judge more topics, or unset KHUNG_SEARCH_FUSION."
            )
        if space and body["space"] != space:
            raise VectorSpaceMismatch(
                f"{path} was trained over {body['space']}, the frames were embedded by {space}.", cure="Train it again."
            )
        return cls(body["model"], evidence, body["space"])


def candidates(
    fused: Fused,
    found: Mapping[str, Found],
    parsed: ParsedQuery,
    event: Event,
    records: Sequence[FrameRecord],
    ids: np.ndarray,
) -> Candidates:
    """`ids` int64 (n,) of the best by `fused`, with their records."""
    columns = [column for name in CHANNELS for column in _of_channel(found.get(name), ids)]
    words = tokens(event.text)
    question = (parsed.language == "en", any(map(marked, words)), len(words), len(event.screen_text), len(event.facets))
    columns.append(fused.scores[np.searchsorted(fused.ids, ids)])
    columns += [np.full(len(ids), float(value), np.float32) for value in question]
    columns.append(np.array([1 + len(record.keyframe.represents) for record in records], np.float32))
    columns.append(np.array([record.keyframe.importance for record in records], np.float32))
    return Candidates(ids, np.stack(columns, axis=1).astype(np.float32))


def best_ids(fused: Fused, count: int = DEPTH) -> np.ndarray:
    """The ids of the best, ties by id."""
    scored = np.flatnonzero(fused.scores > 0)
    return fused.ids[scored[np.argsort(-fused.scores[scored], kind="stable")[:count]]]


def _of_channel(found: Found | None, ids: np.ndarray) -> list[np.ndarray]:
    """raw, normalised, reciprocal rank and presence; zeros for what the channel did not find."""
    if found is None or not len(found.ids):
        return [np.zeros(len(ids), np.float32)] * 4
    order = np.argsort(found.ids)
    at = order[np.minimum(np.searchsorted(found.ids, ids, sorter=order), len(order) - 1)]
    present = found.ids[at] == ids
    ranks = 1 + np.searchsorted(np.sort(-found.normalised), -found.normalised[at], side="left")
    return [np.where(present, c, 0.0) for c in (found.raw[at], found.normalised[at], 1 / ranks, 1.0)]


def _body(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_bytes())
        if not {"version", "fingerprint", "space", "features", "evidence", "model"} <= body.keys():
            raise ValueError("parts are missing")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, AttributeError) as error:
        raise CorruptError(f"{path} is no learned fusion: {error}.", cure="Train it again: khung fusion.") from error
    return body


def _fingerprint(model: str, space: str) -> str:
    return hashlib.sha256("\0".join((str(VERSION), space, *FEATURES, model)).encode()).hexdigest()[:16]


def _booster(model: str) -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError(
            "Learned fusion needs LightGBM.", cure='Run pip install -e ".[learned]" in the checkout.'
        ) from error
    try:
        return lightgbm.Booster(model_str=model)
    except lightgbm.basic.LightGBMError as error:
        raise CorruptError(f"The learned model cannot be read: {error}", cure="Train it again.") from error
