"""Loops over a few hundred frames for which NumPy would need a dozen calls each, to be compiled.

What they mean stands where they are called: `frames.py`, `fusion.py`, `ranking.py`, `collapse.py`. Numbers that index are unsigned: else each index is
tested for counting from the end.
"""

import numpy as np


def together(ids, order, values, ends):
    """Lists of frames laid together. `ids` and `values` float32 are those of all lists, one after another; list c ends at `ends[c]`; `order` sorts ids.

    Returns the distinct ids, ascending, their sums over the lists, and, (lists, n) each, the value and the place within each list: 0 and −1
    where a frame is not in it.
    """
    count = np.uint64(0)
    for i in range(len(order)):
        count += np.uint64(i == 0 or ids[order[i]] != ids[order[i - 1]])
    distinct, sums = np.empty(count, np.int64), np.zeros(count, np.float32)
    shares, places = np.zeros((len(ends), count), np.float32), np.full((len(ends), count), -1, np.int32)
    at = np.uint64(0)
    for i in range(len(order)):
        place = order[i]
        if i and ids[place] != ids[order[i - 1]]:
            at += np.uint64(1)
        distinct[at] = ids[place]
        of, first = 0, 0
        while place >= ends[of]:
            first = ends[of]
            of += 1
        shares[of, at], places[of, at] = values[place], place - first
    for of in range(len(ends)):
        for i in range(count):
            sums[i] += shares[of, i]
    return distinct, sums, shares, places


def places(wanted, ids, starts, shift):
    """Where each of `wanted` stands in `ids`, which ascend, −1 where it does not. Those whose bits above `shift` are b lie from `starts[b]` to
    `starts[b + 1]`."""
    at = np.empty(len(wanted), np.int64)
    for i in range(len(wanted)):
        number = wanted[i]
        bucket = number >> shift
        place, end = starts[bucket], starts[bucket + 1]
        while place < end and ids[place] < number:
            place += 1
        at[i] = place if place < end and ids[place] == number else -1
    return at


def first_of_each(positions, size):
    """Where each of the positions (all below `size`) stands for the first time."""
    seen, kept, n = np.zeros(size, np.bool_), np.empty(len(positions), np.int64), np.uint64(0)
    for i in range(len(positions)):
        position = np.uint64(positions[i])
        if not seen[position]:
            seen[position] = True
            kept[n] = i
            n += np.uint64(1)
    return kept[:n]


def page(ranked, video, pts_ms, shot, phash, videos, most, need, apart_ms, bits):
    """Of frames, best first, the first `need` places that are neither within `apart_ms` of a better one of their video nor in the same shot
    and alike in all but `bits`, at most `most` of a video; and by video how many frames are not among them, −1 where none is.
    """
    kept, n = np.empty(min(need, len(ranked)), np.int64), 0
    last, before = (
        np.full(videos, -1, np.int32),
        np.empty(len(kept), np.int32),
    )  # of each video its latest kept, and the one before
    held, total = np.zeros(videos, np.int64), np.zeros(videos, np.int64)
    for i in range(len(ranked)):
        frame = np.uint64(ranked[i])
        of = np.uint64(video[frame])
        total[of] += 1
        if n == len(kept) or held[of] >= most:
            continue
        mate = last[of]
        while mate >= 0:
            other = np.uint64(ranked[kept[mate]])
            if abs(np.int64(pts_ms[frame]) - np.int64(pts_ms[other])) < apart_ms:
                break
            if shot[frame] == shot[other]:
                apart, count = phash[frame] ^ phash[other], 0
                while apart:
                    apart &= apart - np.uint64(1)
                    count += 1
                if count <= bits:
                    break
            mate = before[mate]
        if mate < 0:
            kept[n], before[n], last[of] = i, last[of], n
            held[of] += 1
            n += 1
    for of in range(videos):
        total[of] = total[of] - held[of] if held[of] else -1
    return kept[:n], total
