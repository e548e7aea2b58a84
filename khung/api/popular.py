"""Which questions are asked most, for asking them anew when a snapshot goes into service. In memory only, never written."""

from cachetools import LRUCache

from khung.api.schemas import SearchIn

_KEPT = 500
_HALVE_AT = 100_000  # asked in all; then everything counts half, so that yesterday's fashion fades


class Popular:
    """Counts of the questions asked lately. Query images are left out: they are forgotten by themselves."""

    def __init__(self) -> None:
        self._counts: LRUCache[str, int] = LRUCache(_KEPT)
        self._all = 0

    def count(self, asked: SearchIn) -> None:
        if not asked.image:
            self.again(asked.model_dump_json(exclude_defaults=True))

    def again(self, question: str) -> None:
        """By its JSON, when that is at hand."""
        self._counts[question] = self._counts.get(question, 0) + 1
        self._all += 1
        if self._all >= _HALVE_AT:
            self._all //= 2
            for known, count in list(self._counts.items()):
                self._counts[known] = count // 2

    def most(self, number: int) -> list[SearchIn]:
        """The most asked first."""
        ranked = sorted(self._counts.items(), key=lambda pair: -pair[1])[:number]
        return [SearchIn.model_validate_json(question) for question, _ in ranked]
