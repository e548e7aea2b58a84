"""What the channels find for each event of a question, fused: channels side by side, failures named, facets judged last.

Which channels there are is `channels.py`, threads and time-outs `running.py`; the order of frames and the page are `engine.py`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from khung.errors import QueryError, SearchUnavailable
from khung.search.channels import CHANNELS, STAND_INS, Channels, FacetSets, Question
from khung.search.fusion import Found, Fused, Weights, fuse, fuse_ranks
from khung.search.learned import Candidates, LearnedFusion, best_ids, candidates
from khung.search.parsed import ParsedQuery
from khung.search.questions import weights_of
from khung.search.request import Degraded
from khung.search.running import Runner
from khung.search.spaces import side_by_side

_COUNTED = 200  # best frames whose objects are counted when a number was asked for


@dataclass(frozen=True, slots=True)
class Answer:
    """What the channels found for one event, and together."""

    found: Mapping[str, Found]
    fused: Fused


Heard = Callable[[Sequence[str], list[Answer]], None]
_FoundSoFar = list[dict[str, Found | FacetSets]]


class Answering:
    """Asks the channels over one snapshot. Thread-safe."""

    def __init__(self, channels: Channels, runner: Runner, learned: LearnedFusion | None) -> None:
        self.channels, self.runner, self.learned = channels, runner, learned
        self._records, self._frames = channels.snapshot.records, channels.frames

    def answers(
        self, questions: Sequence[Question], parsed: ParsedQuery, preset: str, heard: Heard | None = None
    ) -> tuple[list[Answer], list[Degraded]]:
        """One answer a question, and who failed. `heard` is told of the answers so far. Raises QueryError, NotFound,
        SearchUnavailable."""
        weights = [weights_of(preset, parsed, question) for question in questions]
        asked = [[c for c in self.channels.asked(q) if w.get(c)] for q, w in zip(questions, weights, strict=True)]
        if not all(asked):
            raise QueryError(f"The preset “{preset}” leaves nothing to look with.", cure="Use the preset balanced.")

        def fused(found: _FoundSoFar) -> list[Answer]:
            made = [self._answer(q, f, w, preset) for q, f, w in zip(questions, found, weights, strict=True)]
            return [self._relearned(parsed, made[0], questions[0])] if self._learns(preset, made) else made

        def so_far(found: _FoundSoFar) -> None:
            if all(f.keys() - {"facets"} for f in found):  # facets alone would rank the whole library
                heard(sorted({name for f in found for name in f}), fused(found))

        found, degraded = self._look(questions, asked, so_far if heard else None)
        return fused(found), degraded

    def candidates(self, parsed: ParsedQuery, answer: Answer, question: Question) -> Candidates:
        """What a learned fusion sees of an answer."""
        ids = best_ids(answer.fused)
        ids = ids[self._frames.known(ids)]
        records = self._records.at(self._frames.positions(ids).tolist())
        return candidates(answer.fused, answer.found, parsed, question.event, records, ids)

    def _look(
        self,
        questions: Sequence[Question],
        asked: Sequence[Sequence[str]],
        so_far: Callable[[_FoundSoFar], None] | None,
    ) -> tuple[_FoundSoFar, list[Degraded]]:
        """Each channel once, for all events; by event what each channel found."""

        def by_event(answers: Mapping[str, list]) -> _FoundSoFar:
            answers = _as_one_channel(answers)
            return [{name: a[n] for name, a in answers.items() if a[n] is not None} for n in range(len(questions))]

        def job(name: str) -> list[Found | FacetSets | None]:
            look = getattr(self.channels, name)
            return [look(q) if name in a else None for q, a in zip(questions, asked, strict=True)]

        wanted = [name for name in CHANNELS if any(name in a for a in asked)]
        jobs = {name: lambda name=name: job(name) for name in wanted}
        if "vector" in jobs and len(self.channels.spaces) > 1:
            jobs[STAND_INS] = lambda: [self._beside(q, a) for q, a in zip(questions, asked, strict=True)]
        answers, degraded = self.runner.run(jobs, (lambda answers: so_far(by_event(answers))) if so_far else None)
        found = by_event(answers)
        if not all(found):
            raise SearchUnavailable(f"A step has no channel left ({', '.join(d.channel for d in degraded)} failed).")
        return found, degraded

    def _beside(self, question: Question, asked: Sequence[str]) -> Found | None:
        return self.channels.vector_fallback(question) if "vector" in asked else None

    def _learns(self, preset: str, made: Sequence[Answer]) -> bool:
        return self.learned is not None and preset == "balanced" and len(made) == 1

    def _relearned(self, parsed: ParsedQuery, answer: Answer, question: Question) -> Answer:
        return replace(answer, fused=self.learned.rescored(answer.fused, self.candidates(parsed, answer, question)))

    def _answer(self, question: Question, found: dict[str, Found | FacetSets], weights: Weights, preset: str) -> Answer:
        """Facets judge what the other channels found; alone, they judge every frame that is allowed."""
        together = fuse_ranks if preset == "rrf" else lambda channels: fuse(channels, weights)
        sets = found.pop("facets", None)
        if not isinstance(sets, FacetSets):
            return Answer(found, together(found))
        others = [f.ids for f in found.values()]
        everything = self._frames.ids if question.allowed is None else question.allowed
        ids = np.unique(np.concatenate(others)) if others else everything
        judged = found | {"facets": sets.judge(ids)}
        if sets.counts:
            best = _best(together(judged), _COUNTED)
            records = self._records.at(self._frames.positions(best).tolist())
            judged = found | {"facets": sets.judge(ids, dict(zip(best.tolist(), records, strict=True)))}
        return Answer(judged, together(judged))


def _as_one_channel(answers: Mapping[str, list]) -> Mapping[str, list]:
    """The stand-ins' answers laid beside those of the embedder's own space; alone they would pass for all of the vectors."""
    plain = {name: a for name, a in answers.items() if name != STAND_INS}
    if STAND_INS in answers and "vector" in plain:
        pairs = zip(answers["vector"], answers[STAND_INS], strict=True)
        plain["vector"] = [own and side_by_side([own, other]) for own, other in pairs]
    return plain


def _best(fused: Fused, count: int) -> np.ndarray:
    return fused.ids[np.lexsort((fused.ids, -fused.scores))[:count]]
