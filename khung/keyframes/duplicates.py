"""Near-duplicates within one shot: of frames that look the same, the best one stays and remembers the others."""

from collections.abc import Sequence

from khung.video.phash import distance


def collapse(hashes: Sequence[int], worth: Sequence[float], max_distance: int) -> dict[int, list[int]]:
    """Positions kept → positions dropped for each, both ascending.

    From the most worthy down: a frame within `max_distance` bits of a kept one is dropped for the nearest such. The kept ones
    are therefore all farther than that from one another.
    """
    kept: dict[int, list[int]] = {}
    for position in sorted(range(len(hashes)), key=lambda i: (-worth[i], i)):
        nearest = min(kept, key=lambda other: distance(hashes[position], hashes[other]), default=None)
        if nearest is None or distance(hashes[position], hashes[nearest]) > max_distance:
            kept[position] = []
        else:
            kept[nearest].append(position)
    return {position: sorted(kept[position]) for position in sorted(kept)}
