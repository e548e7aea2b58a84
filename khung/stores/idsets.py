"""Sets of vector ids as ascending arrays: what filters hand from store to store."""

import numpy as np


def is_in(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Which of the values stand in the ascending array (bool)."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return ascending[places] == values
