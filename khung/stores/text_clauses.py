"""What both text engines share: which clauses may be asked, when two scores are equal, how counts are told. No engine here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from khung.errors import NotFound, StoreError
from khung.stores import TextClause
from khung.text.fields import FIELDS

_KEPT_BITS = 17  # of a float32's 24: five digits


def check_field(field: str) -> None:
    if field not in FIELDS:
        raise StoreError(f"No text field “{field[:40]}”.", cure=f"Use one of {', '.join(FIELDS)}.")


def check_clauses(clauses: Sequence[TextClause]) -> None:
    for clause in clauses:
        if clause.field not in FIELDS or not clause.boost > 0:
            raise StoreError(f"No text field “{clause.field}”, or a boost that is not positive.")


def rounded(scores: np.ndarray) -> np.ndarray:
    """Five digits: sums of the same weights agree to float32's rounding only, and equal documents shall have equal scores."""
    dropped = 24 - _KEPT_BITS
    bits = np.asarray(scores, np.float32).view(np.int32)
    return ((bits + (1 << dropped - 1)) >> dropped << dropped).view(np.float32).astype(np.float64)


def one_of(found: Mapping[int, Any], vector_id: int) -> Any:
    """Raises NotFound."""
    if vector_id not in found:
        raise NotFound(f"There is no document {vector_id}.")
    return found[vector_id]


def by_facet(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """`name=value` → documents, as name → value → documents."""
    found: dict[str, dict[str, int]] = {}
    for word, count in most_frequent(counts):
        name, _, value = word.partition("=")
        found.setdefault(name, {})[value] = count
    return dict(sorted(found.items()))


def most_frequent(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Ties by word."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
