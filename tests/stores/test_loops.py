"""A command that asks one question does not load the compiler; a loop gives the same with and without it."""

import subprocess
import sys

import numpy as np

from khung.search import loops
from khung.stores.loops import compiled

ASKED = """
import sys
from khung.search.collapse import collapse
from khung.search.fusion import Found, fuse_ranks
from khung.search.loops import first_of_each
from khung.stores.loops import at_hand, compiled, compiling
import numpy as np
ids = np.arange(3)
fused = fuse_ranks({"any": Found(ids, np.ones(3, np.float32), np.ones(3, np.float32))})
assert fused.ids.tolist() == [0, 1, 2]
assert "numba" not in sys.modules
assert at_hand(first_of_each, 10) is first_of_each
assert at_hand(first_of_each, 5_000) is compiled(first_of_each) is not first_of_each
assert at_hand(first_of_each, 10) is first_of_each, "nothing waits for a loop that is being compiled"
with compiling():
    assert at_hand(first_of_each, 10) is compiled(first_of_each)
assert at_hand(first_of_each, 10) is first_of_each
compiled(first_of_each)(np.zeros(1, np.int64), 1)
assert at_hand(first_of_each, 10) is compiled(first_of_each)
"""


def test_few_rounds_are_done_without_the_compiler_until_the_loop_is_compiled():
    subprocess.run([sys.executable, "-c", ASKED], check=True)


def test_the_loops_are_the_same_compiled_and_not():
    rng = np.random.default_rng(5)
    ids = np.concatenate([rng.choice(60, 40, replace=False) for _ in range(3)])
    values, ends = rng.random(120).astype(np.float32), np.array([40, 80, 120])
    frames, videos = 300, 7
    columns = (
        np.sort(rng.integers(0, videos, frames)).astype(np.int32),
        rng.integers(0, 60_000, frames),
        rng.integers(0, 5, frames),
        rng.integers(0, 2**63, frames, dtype=np.uint64) << np.uint64(1),
    )
    cases = {
        loops.together: (ids, np.argsort(ids), values, ends),
        loops.first_of_each: (rng.integers(0, 50, 200), 50),
        loops.page: (rng.permutation(frames), *columns, videos, 12, 40, 2_000, 12),
    }
    for loop, arguments in cases.items():
        plain, fast = loop(*arguments), compiled(loop)(*arguments)
        pairs = zip(plain, fast, strict=True) if isinstance(plain, tuple) else [(plain, fast)]
        for one, other in pairs:
            np.testing.assert_array_equal(one, other, err_msg=loop.__name__)
            assert one.dtype == other.dtype
