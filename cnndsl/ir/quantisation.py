"""Numbers as 8-bit codes: what a code stands for, and how results become codes.

docs/precision.md states the arithmetic, which is the same to the bit on every target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

CODES = 256
HIGHEST = CODES - 1
"""Codes of activations go from 0 to this."""
LARGEST_WEIGHT = 127
"""Codes of weights go from -127 to 127, their zero point is 0."""
LARGEST_BIAS = 2**30
MOST_PRODUCTS = (2**31 - 1 - LARGEST_BIAS) // (HIGHEST * LARGEST_WEIGHT)
"""Products of a code and a weight that 32 bits hold in any case, beside a bias."""
EXACT_BITS = 16
"""A float32 with so many significant bits times a difference of codes is exact."""
SMALLEST_SCALE, LARGEST_SCALE = 2.0**-60, 2.0**60


@dataclass(frozen=True)
class Quantisation:
    """The code q of 0 to 255 stands for scale * (q - zero); the scale is rounded to float32.

    Raises ValueError for a scale that is not a positive number between 2^-60 and 2^60, and a zero
    point that is no code.
    """

    scale: float
    zero: int

    def __post_init__(self) -> None:
        if not SMALLEST_SCALE <= self.scale <= LARGEST_SCALE:
            raise ValueError(f"a scale is a number from 2^-60 to 2^60, not {self.scale}")
        if isinstance(self.zero, bool) or self.zero not in range(CODES):
            raise ValueError(f"a zero point is a whole number from 0 to 255, not {self.zero}")
        object.__setattr__(self, "scale", float(np.float32(self.scale)))

    @classmethod
    def covering(cls, low: float, high: float, *, symmetric: bool = False) -> Quantisation:
        """The finest one for numbers from low to high, and 0, which is a code.

        With `symmetric` the zero point is 128. Raises ValueError if they are not finite.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        if not math.isfinite(high - low):
            raise ValueError(f"the range is {low} to {high}")
        if symmetric:
            scale = max(-low / 128, high / 127)
            return cls(min(max(scale, SMALLEST_SCALE), LARGEST_SCALE), 128)
        scale = min(max((high - low) / HIGHEST, SMALLEST_SCALE), LARGEST_SCALE)
        return cls(scale, min(max(round(-low / scale), 0), HIGHEST))

    @property
    def low(self) -> float:
        """What the code 0 stands for."""
        return -self.zero * self.scale

    @property
    def high(self) -> float:
        """What the code 255 stands for."""
        return (HIGHEST - self.zero) * self.scale

    def code(self, number: float) -> int:
        """The code of a number, which may be infinite."""
        return int(self.encode(np.asarray(number, np.float32)))

    def encode(self, x: Array) -> Array:
        """The codes of float32 numbers: round(x / scale) + zero, clipped. That of NaN is 0."""
        with np.errstate(all="ignore"):
            steps = np.asarray(x, np.float32) / np.float32(self.scale)
        return codes(steps, self.zero)

    def decode(self, q: Array) -> Array:
        """What codes stand for, as float32."""
        return self.centred(q).astype(np.float32) * np.float32(self.scale)

    def centred(self, q: Array) -> Array:
        """Codes less the zero point, as float64, which holds them and their sums exactly."""
        return q.astype(np.float64) - self.zero

    def __str__(self) -> str:
        return f"{self.scale:.6g}@{self.zero}"


def codes(steps: Array, zero: int, low: int = 0, high: int = HIGHEST) -> Array:
    """The codes of numbers in steps of the scale: ties to even, then the zero point, then clipped.

    NaN becomes the lowest code.
    """
    rounded = np.rint(steps).astype(np.float64) + zero
    return np.fmin(np.fmax(rounded, low), high).astype(np.uint8)


def float32(x: float) -> float:
    """The nearest float32."""
    return float(np.float32(x))


def exact_factor(x: float) -> float:
    """The nearest number of EXACT_BITS significant bits, ties to even."""
    return float(significant(np.asarray(x, np.float64)))


def significant(x: Array, bits: int = EXACT_BITS) -> Array:
    """The nearest numbers of so many significant bits, ties to even."""
    fraction, exponent = np.frexp(x)
    return np.asarray(np.ldexp(np.rint(fraction * 2.0**bits), exponent - bits))


def from_bfloat16(bits: Array) -> Array:
    """The float32 numbers of those that bfloat16 has, from their bits as uint16."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def nearest_bfloat16(x: Array) -> Array:
    """float32 numbers rounded to those that bfloat16 has, ties to even, still as float32."""
    import ml_dtypes

    with np.errstate(all="ignore"):
        return np.asarray(x, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)
