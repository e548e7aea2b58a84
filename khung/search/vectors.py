"""The query vector: words, pictures, known frames and feedback as one direction, with the scale that fits the mixture.

Cosines are linear in the query, so the scale of a mixture is the same mixture of the scales of its parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from khung.errors import ModelError
from khung.search.scale import Scale

# Rocchio's weights of the question, of what is wanted and of what is not, as in C. Manning et al., “Introduction to
# Information Retrieval”, 2008, §9.1.1.
ALPHA, BETA, GAMMA = 1.0, 0.75, 0.15


@dataclass(frozen=True, slots=True)
class Part:
    """One direction `(dim,)` of unit length, how much it counts (negative: away from it), and the scale of its kind."""

    vector: np.ndarray
    weight: float
    scale: Scale


def mix(parts: Sequence[Part]) -> tuple[np.ndarray, Scale]:
    """`(dim,)` float32 of unit length, and its scale. Raises ModelError when a part is not a finite direction."""
    for part in parts:
        if not 0.5 < np.linalg.norm(part.vector) < np.inf:  # not for NaN either
            raise ModelError("The query's vector is not finite or has no direction.")
    total = sum(p.weight * p.vector for p in parts)
    length = float(np.linalg.norm(total))
    if length < 1e-6:
        raise ModelError("The parts of the query cancel out.", cure="Take back some of the feedback.")
    low = sum(p.weight * p.scale.low for p in parts) / length
    reach = sum(abs(p.weight) * (p.scale.high - p.scale.low) for p in parts) / length
    return (total / length).astype(np.float32), Scale(low, low + reach)


def feedback(more: Sequence[np.ndarray], less: Sequence[np.ndarray], scale: Scale) -> list[Part]:
    """Rocchio's parts: towards the mean of `more`, away from the mean of `less`."""
    wanted = [Part(v, BETA / len(more), scale) for v in more]
    return wanted + [Part(v, -GAMMA / len(less), scale) for v in less]
