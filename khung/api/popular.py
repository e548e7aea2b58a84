"""Which questions are asked most, for asking them anew when a snapshot goes into service. In memory only, never written."""

from collections import Counter

from khung.api.question import Question
from khung.api.schemas import SearchIn

_KEPT = 500
_LONGEST = 4096  # characters of a question; who fills every field asks for himself alone
_HALVE_AT = 100_000  # asked in all; then everything counts half, so that yesterday's fashion fades


class Popular:
    """Counts of the questions asked lately. Query images are left out: they are forgotten by themselves."""

    def __init__(self) -> None:
        self._counts: Counter[Question] = Counter()
        self._all = 0

    def again(self, question: Question) -> None:
        """Count a question."""
        if len(question.text) > _LONGEST:
            return
        self._counts[question] += 1
        self._all += 1
        if len(self._counts) > 2 * _KEPT:
            self._counts = Counter(dict(self._counts.most_common(_KEPT)))
        if self._all >= _HALVE_AT:
            self._all //= 2
            self._counts = Counter({known: count // 2 for known, count in self._counts.items()})

    def most(self, number: int) -> list[SearchIn]:
        """The most asked first."""
        return [question.asked() for question, _ in self._counts.most_common(number)]
