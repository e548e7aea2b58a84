"""What frames hold of each facet, as columns of codes: counted for any set of frames, looked up for any word. No SQL at query time.

Made once from the flat Parquet of all parts; how conditions are joined is `records_duckdb.py`.
"""

from collections.abc import Collection
from functools import reduce
from typing import Any

import numpy as np

from khung.stores.loops import at_hand

UNSAID = ("", "unknown")
"""Values of a scalar that say nothing: they can be asked for and are not counted."""


class FacetColumns:
    """Facets of frames by position. `table`: an Arrow table in the order of positions, a list or a string a facet. Immutable."""

    def __init__(self, table: Any) -> None:
        self._size = table.num_rows
        columns = {name: _coded(table[name].combine_chunks()) for name in table.column_names}
        self._codes: dict[str, dict[str, int]] = {}
        self._words: list[tuple[str, str]] = []
        for name, (words, _, _) in columns.items():
            first = len(self._words)
            self._codes[name] = {word: first + code for code, word in enumerate(words)}
            self._words += [(name, word) for word in words]
        shifts = np.cumsum([0, *(len(words) for words, _, _ in columns.values())])
        positions = np.concatenate([np.zeros(0, np.int32), *(at for _, at, _ in columns.values())])
        codes = np.concatenate(
            [np.zeros(0, np.int32), *(c + s for (_, _, c), s in zip(columns.values(), shifts[:-1], strict=True))]
        ).astype(np.int32)
        by_position = np.argsort(positions, kind="stable")
        self._of_position = codes[by_position]
        self._starts = _starts(positions, self._size)
        self._frames = positions[np.argsort(codes, kind="stable")]
        self._frames_of = _starts(codes, len(self._words))

    def count(self, positions: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        """Facet → word → frames, the most frequent word first, ties by word; of all frames, or of those at `positions` (each once)."""
        if positions is None:
            counts = np.diff(self._frames_of)
        else:
            counts = at_hand(_counted, len(positions))(positions, self._starts, self._of_position, len(self._words))
        there = np.flatnonzero(counts)
        found: dict[str, dict[str, int]] = {name: {} for name in self._codes}
        for code in there[np.argsort(-counts[there], kind="stable")].tolist():
            name, word = self._words[code]
            if word not in UNSAID:
                found[name][word] = int(counts[code])
        return found

    def holding(self, name: str, words: Collection[str]) -> np.ndarray:
        """bool (n,): the frames whose facet holds any of the words."""
        mask = np.zeros(self._size, bool)
        for code in (self._codes[name][word] for word in words if word in self._codes[name]):
            mask[self._frames[self._frames_of[code] : self._frames_of[code + 1]]] = True
        return mask

    def holding_all(self, name: str, words: Collection[str]) -> np.ndarray:
        """bool (n,): the frames whose facet holds each of the words."""
        return reduce(np.logical_and, [self.holding(name, (word,)) for word in words], np.ones(self._size, bool))


def _counted(positions, starts, codes, words):
    """How often each of `words` codes stands at the positions, whose codes begin at `starts`."""
    counts = np.zeros(words, np.int64)
    for position in positions:
        for at in range(starts[position], starts[position + 1]):
            counts[codes[at]] += 1
    return counts


def _coded(column: Any) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Words in their order, positions, and at each the code of a word."""
    import pyarrow as pa

    positions = np.arange(len(column), dtype=np.int32)
    if pa.types.is_list(column.type):
        positions = np.repeat(positions, column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
        column = column.flatten()
    encoded = column.dictionary_encode()
    present = encoded.indices.is_valid().to_numpy(zero_copy_only=False)
    words = encoded.dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    code_of = np.zeros(len(words) + 1, np.int32)
    code_of[order] = np.arange(len(words))
    codes = code_of[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    return [words[n] for n in order], positions[present], codes[present]


def _starts(values: np.ndarray, size: int) -> np.ndarray:
    """Where each of `size` values begins among the sorted `values`; one more at the end."""
    return np.concatenate([[0], np.cumsum(np.bincount(values, minlength=size))]).astype(np.int64)
