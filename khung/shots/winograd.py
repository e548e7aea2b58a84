"""TransNetV2's 3×3 convolutions by minimal filtering (Winograd 1980; Lavin & Gray 2016): a third to a fifth of the multiplications, in float32.

A picture is cut into tiles of up to 6×6 results. Fixed small matrices take each tile and each filter to a domain where the convolution is
one product a place, and the sums of those back; there the channels are mixed by ordinary matrix products. The numbers differ from the plain
convolution's by rounding alone, about 1e-5 of the largest; a test holds the probabilities within 1e-3 of the authors' package.

The graph is rewritten with the runtime's own operations: nothing here computes at run time.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from khung.vision.eight_bits import layers_of

if TYPE_CHECKING:
    import openvino

# Where the polynomials are evaluated, beside infinity: small numbers keep the rounding small, so no more than these.
_POINTS = tuple(map(Fraction, ("0", "1", "-1", "2", "-2", "1/2", "-1/2")))
_TAPS = 3
_LARGEST_TILE = len(_POINTS) + 1 - _TAPS + 1
_FEWEST_CHANNELS = 32  # below, the transforms cost more than the products that they save
_VALUES_AT_ONCE = (
    2_000_000  # results of the products that are alive together: what a core's second-level cache about holds
)


def rewrite(model: "openvino.Model") -> None:
    """Replace the spatial convolutions of a model in place: those of kernel (1, 3, 3) over `(1, channels, frames, height, width)`."""
    from openvino import opset13 as ops

    for layers in layers_of(model):
        source = layers[0].input_value(0)
        if not all(map(_is_spatial, layers)) or source.get_shape()[1] < _FEWEST_CHANNELS:
            continue
        filters = np.stack([layer.input_value(1).get_node().get_data()[:, :, 0] for layer in layers])
        parts = ops.split(_convolved(source, filters), _integers(0), len(layers))
        for layer, part in zip(layers, parts.outputs(), strict=True):
            result = ops.transpose(part, _integers(0, 4, 1, 2, 3))
            for reader in layer.output(0).get_target_inputs():
                reader.replace_source_output(result.output(0))
    model.validate_nodes_and_infer_types()


def _is_spatial(layer: "openvino.Node") -> bool:
    attributes = layer.get_attributes()
    return (
        layer.get_type_name() == "Convolution"
        and list(layer.input_value(1).get_shape())[2:] == [1, _TAPS, _TAPS]
        and attributes["strides"] == attributes["dilations"] == [1, 1, 1]
        and attributes["pads_begin"] == attributes["pads_end"] == [0, 1, 1]
    )


def _convolved(source: "openvino.Output", filters: np.ndarray) -> "openvino.Node":
    """`(1, channels, frames, height, width)` under several sets of filters, `(sets, results, channels, 3, 3)`, some frames at a time:
    `(sets, frames, height, width, results)`."""
    from openvino import opset13 as ops

    _, channels, frames, height, width = source.get_shape()
    down, across = Tiling(height), Tiling(width)
    products = frames * len(down.into) * len(across.into) * filters.shape[0] * filters.shape[1]
    groups = next(
        n for n in range(1, frames + 1) if (frames % n == 0 and products / n <= _VALUES_AT_ONCE) or n == frames
    )
    last = _reshaped(ops.transpose(source, _integers(0, 2, 3, 4, 1)), frames, height, width, channels)
    pieces = ops.split(last, _integers(0), groups).outputs()
    return ops.concat([_filtered(piece, filters, down, across) for piece in pieces], 1)


def _filtered(piece: "openvino.Output", filters: np.ndarray, down: "Tiling", across: "Tiling") -> "openvino.Node":
    """Pictures `(frames, height, width, channels)` under the filters: `(sets, frames, height, width, results)`."""
    from openvino import opset13 as ops

    frames, height, width, channels = piece.get_shape()
    sets, results = filters.shape[:2]
    places = down.places * across.places
    mixing = np.einsum("ia,socab,jb->ijcso", down.filters, filters.astype(float), across.filters)

    rows = _product(_numbers(down.into), _reshaped(piece, frames, 1, height, width * channels))
    tiles = _product(_numbers(across.into), _reshaped(rows, frames, len(down.into), width, channels))
    tiles = _reshaped(tiles, frames, down.places, down.tiles, across.places, across.tiles, channels)
    tiles = ops.transpose(tiles, _integers(1, 3, 0, 2, 4, 5))  # the places first: one product each
    mixed = _product(_reshaped(tiles, places, -1, channels), _numbers(mixing.reshape(places, channels, sets * results)))
    # Across first, tile by tile, where it leaves fewer numbers to move; down by all tiles at once, which also cuts off what hangs over.
    whole = across.tiles * across.size
    columns = _product(_numbers(across.back), _reshaped(mixed, down.places, across.places, -1))
    columns = _reshaped(columns, down.places, across.size, frames, down.tiles, across.tiles, sets, results)
    columns = ops.transpose(columns, _integers(5, 2, 0, 3, 4, 1, 6))
    filtered = _product(_numbers(down.out), _reshaped(columns, sets, frames, len(down.into), whole * results))
    filtered = _reshaped(filtered, sets, frames, height, whole, results)
    return filtered if whole == width else ops.gather(filtered, ops.constant(np.arange(width)), _integers(3))


class Tiling:
    """One dimension of a picture, `length` long with a border of one zero at each end, in `tiles` of `size` results.

    `into` `(places · tiles, length)` takes it into the domain of the products, place by place; `filters` `(places, 3)` takes a filter there.
    `back` `(size, places)` takes one tile out of it and `out` `(length, places · tiles)` all of them.
    """

    def __init__(self, length: int) -> None:
        self.size = min(range(2, _LARGEST_TILE + 1), key=lambda size: (-(-length // size) * (size + _TAPS - 1), size))
        self.back, self.filters, into = minimal_filtering(self.size)
        self.places, self.tiles = len(into), -(-length // self.size)
        self.into = np.zeros((self.places, self.tiles, length))
        self.out = np.zeros((self.tiles, self.size, self.places, self.tiles))
        for tile in range(self.tiles):
            self.out[tile, :, :, tile] = self.back
            for place in range(self.places):
                if 0 <= (pixel := self.size * tile + place - 1) < length:
                    self.into[:, tile, pixel] = into[:, place]
        self.into = self.into.reshape(-1, length)
        self.out = self.out.reshape(self.size * self.tiles, -1)[:length]


def minimal_filtering(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrices A, G and B with `A ((G g) · (B d))` the `size` results of a filter g of 3 over a signal d of `size` + 2: F(size, 3).

    Cook and Toom's multiplication of polynomials by their values at points, transposed (Lavin & Gray 2016, §4). Shapes `(size, n)`,
    `(n, 3)`, `(n, n)` with n = size + 2.
    """
    n = size + _TAPS - 1
    points = _POINTS[: n - 1]
    back, taps, into = np.zeros((size, n)), np.zeros((n, _TAPS)), np.zeros((n, n))
    for row, point in enumerate(points):
        others = [other for other in points if other != point]
        back[:, row] = [float(point**power) for power in range(size)]
        scale = np.prod([point - other for other in others])
        taps[row] = [float(point**power / scale) for power in range(_TAPS)]
        into[row, : n - 1] = _polynomial(others)
    back[-1, -1] = taps[-1, -1] = 1
    into[-1] = _polynomial(points)
    return back, taps, into


def _polynomial(roots: "tuple[Fraction, ...] | list[Fraction]") -> list[float]:
    """The coefficients of the product of (x − root), the lowest first, exact until the last step."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *coefficients], [*(root * c for c in coefficients), Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return [float(c) for c in coefficients]


def _product(left: "openvino.Node", right: "openvino.Node") -> "openvino.Node":
    from openvino import opset13 as ops

    return ops.matmul(left, right, False, False)


def _reshaped(node: "openvino.Node | openvino.Output", *shape: int) -> "openvino.Node":
    from openvino import opset13 as ops

    return ops.reshape(node, _integers(*shape), False)


def _numbers(values: np.ndarray) -> "openvino.Node":
    from openvino import opset13 as ops

    return ops.constant(values.astype(np.float32))


def _integers(*values: int) -> "openvino.Node":
    """One is a scalar, an axis; several are a vector."""
    from openvino import opset13 as ops

    return ops.constant(np.array(values if len(values) > 1 else values[0], np.int64))
