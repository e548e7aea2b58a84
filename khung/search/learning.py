"""Training a fusion from judged topics, and judging it: it must win on topics that it has not seen.

Topics of one moment (asked in two languages, or without marks) stay in one fold: a model that has seen the answer once would
know it again. The model is `learned.py`'s; topics are `topics.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from khung.errors import ConfigError
from khung.records import vector_id
from khung.search.evaluation import reciprocal_rank
from khung.search.learned import Candidates, Evidence, LearnedFusion
from khung.search.request import SearchRequest
from khung.search.topics import Topic, frames_of
from khung.search.trial import randomised_p
from khung.stores import Timeline

FOLDS = 5
MIN_TOPICS = 20
ROUNDS = 60
PARAMETERS = {
    "objective": "lambdarank",
    "learning_rate": 0.08,
    "num_leaves": 7,
    "min_data_in_leaf": 10,
    "lambda_l2": 1.0,
    "label_gain": [0, 1, 3, 7],
    "num_threads": 1,
    "deterministic": True,
    "seed": 20261122,
    "verbose": -1,
}
"""Small trees: a hundred topics teach little, and much of it is chance."""


class Asked(Protocol):
    """What training needs of an engine."""

    def candidates(self, request: SearchRequest) -> Candidates | None:
        """The best of a question of one step, by the fixed combination; None for a sequence."""
        ...


@dataclass(frozen=True)
class Example:
    """A topic with its candidates and how right each is (0 to 3)."""

    topic: Topic
    candidates: Candidates
    gains: np.ndarray  # int (n,)


def examples(asked: Asked, timeline: Timeline, topics: Sequence[Topic]) -> list[Example]:
    """Of the topics of one step whose videos are all there. Topics that found nothing right teach nothing and are counted."""
    known, made = set(timeline.videos), []
    for topic in topics:
        found = asked.candidates(SearchRequest(text=topic.text)) if topic.videos <= known else None
        if found is not None and len(found.ids):
            gains = {vector_id(name): gain for name, gain in frames_of(topic, timeline).items()}
            right = [min(3, max(0, round(gains.get(int(i), 0)))) for i in found.ids]
            made.append(Example(topic, found, np.array(right)))
    return made


def train(made: Sequence[Example], space: str, folds: int = FOLDS) -> LearnedFusion:
    """A model of all examples, with the evidence of models that had not seen the topics they were asked. It may have lost: ask
    `evidence.wins`. Raises ConfigError for too few topics."""
    groups = _groups(made)
    if len(made) < MIN_TOPICS or max(groups, default=0) + 1 < folds:
        raise ConfigError(
            f"{len(made)} topics of {max(groups, default=-1) + 1} answers are too few to learn from.",
            cure=f"Judge at least {MIN_TOPICS} topics.",
        )
    evidence = _evidence(made, np.array(groups), folds)
    return LearnedFusion(_fitted(made).model_to_string(), evidence, space)


def _evidence(made: Sequence[Example], groups: np.ndarray, folds: int) -> Evidence:
    """Cross-validated: each topic is ranked by a model of the folds without it."""
    fold_of = np.random.default_rng(PARAMETERS["seed"]).permutation(int(groups.max()) + 1)[groups] % folds
    fixed, learned = np.zeros(len(made)), np.zeros(len(made))
    for fold in range(folds):
        model = _fitted([e for e, f in zip(made, fold_of, strict=True) if f != fold])
        for n in np.flatnonzero(fold_of == fold):
            fixed[n] = _reciprocal(made[n], np.arange(len(made[n].gains)))
            scores = model.predict(made[n].candidates.features, num_threads=1)
            learned[n] = _reciprocal(made[n], np.argsort(-scores, kind="stable"))
    return Evidence(len(made), folds, float(fixed.mean()), float(learned.mean()), randomised_p(learned - fixed))


def _reciprocal(example: Example, order: np.ndarray) -> float:
    right = {str(i) for i in example.candidates.ids[example.gains > 0]}
    return reciprocal_rank([str(i) for i in example.candidates.ids[order]], right)


def _fitted(made: Sequence[Example]) -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError(
            "Learning needs LightGBM.", cure='Run pip install -e ".[learned]" in the checkout.'
        ) from error
    features = np.concatenate([e.candidates.features for e in made])
    data = lightgbm.Dataset(
        features, np.concatenate([e.gains for e in made]), group=[len(e.gains) for e in made], free_raw_data=False
    )
    return lightgbm.train(PARAMETERS, data, num_boost_round=ROUNDS)


def _groups(made: Sequence[Example]) -> list[int]:
    """A number for each set of answers."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(e.topic.answers, len(numbers)) for e in made]
