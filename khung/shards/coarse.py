"""The shelf's coarse quantiser for large shards: trained once on real vectors, then shared by every shard of that model.

A shard carries the centroids in its own index; this file only makes the next shard take the same ones.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from khung.errors import CorruptError
from khung.shards.manifest import SealedInput
from khung.stores.arrays import load
from khung.stores.durable import locked, replace_file
from khung.stores.vectors_build import IndexPolicy, lists_for, train_coarse

COARSE = "coarse"


def shared(
    shelf: Path, inputs: Sequence[SealedInput], shard_count: int, fingerprint: str, policy: IndexPolicy
) -> np.ndarray | None:
    """`(nlist, d)` centroids for a shard that is large enough for lists, or is one of many of a large library; else None.

    The first large shard of a model trains them, with as many as the whole library of such shards wants: videos fall into
    shards by hash, so one shard is a fair sample. To train anew, take the file away and seal again.
    """
    size = sum(len(one.records) for one in inputs)
    if size <= policy.sq8_up_to and size * shard_count <= policy.lists_from:
        return None
    folder = Path(shelf) / COARSE
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}.npy"
    with locked(folder / "lock"):
        if not path.exists():
            vectors = np.concatenate([one.vectors[one.own] for one in inputs]).astype(np.float16).astype(np.float32)
            out = io.BytesIO()
            np.save(out, train_coarse(vectors, lists_for(size * shard_count)))
            replace_file(path, out.getvalue())
        try:
            return load(path)
        except (ValueError, EOFError) as error:
            raise CorruptError(f"{path} cannot be read: {error}.", cure="Take it away: it is trained anew.") from error
