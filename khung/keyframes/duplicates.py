"""Near-duplicates within one shot: of frames that look the same, the best one stays and remembers the others."""

from collections.abc import Sequence

import numpy as np


def collapse(hashes: Sequence[int], worth: Sequence[float], max_distance: int) -> dict[int, list[int]]:
    """Positions kept → positions dropped for each, both ascending.

    From the most worthy down: a frame within `max_distance` bits of a kept one is dropped for the nearest such. The kept ones
    are therefore all farther than that from one another.
    """
    looks = np.array(hashes, np.uint64)
    kept: dict[int, list[int]] = {}
    positions, kept_looks = [], np.empty_like(looks)
    for position in sorted(range(len(hashes)), key=lambda i: (-worth[i], i)):
        apart = np.bitwise_count(kept_looks[: len(positions)] ^ looks[position])
        nearest = int(apart.argmin()) if positions else None
        if nearest is None or apart[nearest] > max_distance:
            kept_looks[len(positions)] = looks[position]
            positions.append(position)
            kept[position] = []
        else:
            kept[positions[nearest]].append(position)
    return {position: sorted(kept[position]) for position in sorted(kept)}
