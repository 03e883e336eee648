"""Maps of another size, between whose positions is interpolated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.dims import Dim
from cnndsl.ir.operator import POINT, OperatorError, Reads, Sign, Window, Windows
from cnndsl.ir.operators.bases import Channelwise, Spatial
from cnndsl.ir.types import TensorType

LONGEST = 2**16
"""Results of an axis that are looked at one by one to find what they read."""

Taps = tuple[tuple[tuple[int, float], ...], ...]
"""For each result of an axis the positions that it reads, and their weights."""


@dataclass(frozen=True)
class Resize(Spatial, Channelwise):
    """Maps enlarged or made smaller, by a `factor` or to a `size`, without an antialiasing filter.

    Result j of an axis lies at the position p(j) of its n positions; s is the factor, or size/n:

    - half_pixel: (j + 1/2) / s - 1/2; pytorch_half_pixel: that, but 0 for a single result
    - align_corners: j * (n - 1) / (results - 1), 0 for a single result
    - asymmetric: j / s

    `nearest` takes the position that p is rounded to, `linear` weighs the two around p by their
    nearness, `cubic` the four around it by the kernel of Keys (1981), Cubic convolution
    interpolation for digital image processing, equation 4, with the coefficient `cubic_coeff`.
    What would lie outside is the nearest position inside. A factor gives floor(n * factor) results.

    Source: the ONNX operator Resize-13, whose names of modes these are. As PyTorch computes it:
    nearest is asymmetric with rounding=floor, bilinear is linear, bicubic is cubic.
    """

    name: ClassVar[str] = "resize"
    foreign = (
        "PyTorch interpolate",
        "PyTorch UpsamplingBilinear2d",
        "Keras Resizing",
        "TensorFlow resize_bilinear",
    )
    example = 'resize(1.5, mode="linear")'
    gradient = Reads.NOTHING

    factor: tuple[float, ...] | None = attribute(kind.optional(kind.FACTORS), None)
    size: tuple[Dim, ...] | None = attribute(kind.optional(kind.OPEN_SIZES), None)
    mode: str = attribute(kind.choice("nearest", "linear", "cubic"), "nearest")
    coordinates: str = attribute(
        kind.choice("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"), "half_pixel"
    )
    rounding: str = attribute(
        kind.choice("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
        "round_prefer_floor",
    )
    cubic_coeff: float = attribute(kind.NUMBER, -0.75)

    def bind(self, inputs: Sequence[TensorType]) -> Resize:
        """Expand the factor or the size to every axis."""
        if (self.factor is None) == (self.size is None):
            raise OperatorError(
                "E0309", "resize takes a factor or a size, one of them", attribute="size"
            )
        return super().bind(inputs)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, *size], or floor(n * factor) for each axis."""
        (x,) = inputs
        if self.mode == "cubic" and x.rank > 2:
            raise OperatorError(
                "E0306", f"cubic resize needs one or two spatial axes, the input is {x}",
                hint="linear takes three", attribute="mode", show_operands=True,
            )  # fmt: skip
        if self.size is not None:
            return TensorType((x.channels, *self.size))
        assert self.factor is not None
        factors = (Fraction(str(f)) for f in self.factor)
        sizes: list[Dim] = [
            n * f.numerator // f.denominator for n, f in zip(x.spatial, factors, strict=True)
        ]
        if 0 in sizes:
            raise OperatorError(
                "E0309", f"factor leaves no position of the input, {x}",
                attribute="factor", show_operands=True,
            )  # fmt: skip
        return TensorType((x.channels, *sizes))

    @property
    def sign(self) -> Sign:
        """Means keep it; cubic weights are partly negative."""
        return Sign.ANY if self.mode == "cubic" else Sign.KEPT

    def is_identity(self, x: TensorType) -> bool:
        """If nothing changes its size."""
        return self.size == x.spatial if self.factor is None else set(self.factor) == {1.0}

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """The positions of the taps; all where sizes are open, or too large to look at each."""
        (x,) = inputs
        result = self.output_type(inputs)
        if x.is_open or result.is_open or max(result.sizes[1:]) > LONGEST:
            return None
        sizes = result.sizes[1:]
        return tuple(
            _window(self.taps(axis, n, results), n, results)
            for axis, (n, results) in enumerate(zip(x.sizes[1:], sizes, strict=True))
        )

    def scale(self, axis: int, n: int, results: int) -> Fraction:
        """Results for each position of an axis, exactly."""
        return Fraction(results, n) if self.factor is None else Fraction(str(self.factor[axis]))

    def taps(self, axis: int, n: int, results: int) -> Taps:
        """What each of so many results of an axis of n positions is made of."""
        return _taps(self.mode, self.coordinates, self.rounding, self.cubic_coeff,
                     self.scale(axis, n, results), n, results)  # fmt: skip


def position(coordinates: str, scale: Any, n: int, results: int, j: Any) -> Any:
    """The position p(j) of result j, of the type of numbers of `scale` and j."""
    half = type(scale)(0.5)
    if coordinates == "align_corners":
        return j * (n - 1) / max(results - 1, 1)
    if coordinates == "asymmetric":
        return j / scale
    if coordinates == "pytorch_half_pixel" and results == 1:
        return j * 0
    return (j + half) / scale - half


@cache
def _taps(
    mode: str, coordinates: str, rounding: str, cubic: float, scale: Fraction, n: int, results: int
) -> Taps:
    found = []
    for j in range(results):
        p = position(coordinates, scale, n, results, Fraction(j))
        first = math.floor(p)
        if mode == "nearest":
            weights = {rounded(rounding, p): 1.0}
        elif mode == "linear":
            weights = {first: float(1 - (p - first)), first + 1: float(p - first)}
        else:
            weights = {first + k: _keys(abs(float(p - first) - k), cubic) for k in (-1, 0, 1, 2)}
        main = max(weights, key=weights.__getitem__)
        found.append(tuple((min(max(q if w else main, 0), n - 1), w) for q, w in weights.items()))
    return tuple(found)


def rounded(rounding: str, p: Any) -> Any:
    """A position rounded to a whole one, as `rounding` tells."""
    half = type(p)(0.5)
    return {
        "floor": lambda: math.floor(p),
        "ceil": lambda: math.ceil(p),
        "round_prefer_floor": lambda: math.ceil(p - half),
        "round_prefer_ceil": lambda: math.floor(p + half),
    }[rounding]()


def _keys(distance: float, a: float) -> float:
    """The cubic kernel at a distance of at most 2."""
    d = distance
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a


def _window(taps: Taps, n: int, results: int) -> Window:
    """The narrowest window of steps of n/results positions that holds those of all taps."""
    low = min(p * results + results - 1 - j * n for j, own in enumerate(taps) for p, _ in own)
    high = max(p * results - j * n for j, own in enumerate(taps) for p, _ in own)
    return POINT if (n, low, high) == (results, n - 1, 0) else Window(n, low, high, results)
