"""The runtime of the embedded models, on a graph of two operations."""

import gc
import weakref

import numpy as np
import pytest

from khung.errors import ModelError
from khung.vision.runtime import Net


def doubling():
    """x → 2x, for rows of four."""
    import openvino as ov
    from openvino import opset13 as ops

    rows = ops.parameter([1, 4], np.float32)
    return ov.Model([ops.multiply(rows, np.float32(2))], [rows], "doubling")


def row(number: int) -> np.ndarray:
    return np.full((1, 4), number, np.float32)


def test_many_inputs_come_back_in_order():
    net = Net(doubling(), wide=True)
    for count in (40, 0, 3):
        assert [out[0, 0] for (out,) in net.map(map(row, range(count)))] == [2 * n for n in range(count)]
    assert net.map([row(1), row(2)], lambda outputs: float(outputs[0].sum())) == [8, 16]
    assert np.array_equal(net(row(3))[0], row(6))


def test_an_input_that_fails_is_told_and_the_next_ones_are_answered():
    net = Net(doubling(), wide=True)
    with pytest.raises(ModelError):
        net.map([row(1), np.zeros((1, 5), np.float32), row(2)])
    assert [out[0, 0] for (out,) in net.map([row(4)])] == [8]


def used() -> "weakref.ref[Net]":
    net = Net(doubling(), wide=True)
    net.map([row(1), row(2)], lambda outputs: net)  # a model's own method may be what looks at the outputs
    net(row(1))
    return weakref.ref(net)


def test_a_network_that_nobody_uses_any_more_is_let_go():
    """Else every run within a process keeps its models, a hundred megabytes each."""
    of = used()
    gc.collect()
    assert of() is None
