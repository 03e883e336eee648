"""Tensor types: what flows along an edge of the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias, cast

from cnndsl.ir.dims import Dim, OpenDim, Symbol
from cnndsl.ir.quantisation import Quantisation

Shape: TypeAlias = tuple[Dim, ...]

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What the spatial axes of a map are called, by their number."""


@dataclass(frozen=True)
class DType:
    """A format of numbers by numpy's name, and the bytes of one number."""

    name: str
    bytes: int

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"DType({self})"


_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int32": 4, "int8": 1, "uint8": 1}
DTYPES = {name: DType(name, size) for name, size in _BYTES.items()}
"""All formats that tensors can have."""
FLOAT32, FLOAT16 = DTYPES["float32"], DTYPES["float16"]
BFLOAT16, UINT8 = DTYPES["bfloat16"], DTYPES["uint8"]


@dataclass(frozen=True)
class TensorType:
    """The shape of one sample, channels first, and its numbers' format; the batch axis is implied.

    `(C,)` is a vector, `(C, L)` a 1-D signal, `(C, H, W)` an image, `(C, D, H, W)` a volume. With a
    `quantisation` the numbers are codes, and it tells what they stand for. What is not `batched`,
    such as a sum over the batch, is one for all samples: its batch axis has the size 1.
    """

    shape: Shape
    dtype: DType = FLOAT32
    quantisation: Quantisation | None = None
    batched: bool = True

    @property
    def channels(self) -> int:
        """Size of the first axis, always known."""
        assert isinstance(self.shape[0], int)
        return self.shape[0]

    @property
    def spatial(self) -> Shape:
        """The axes after the channels."""
        return self.shape[1:]

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.shape) - 1

    @property
    def is_open(self) -> bool:
        """True if a size is not known yet."""
        return any(isinstance(d, OpenDim) for d in self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of known sizes. Raises ValueError if one is open."""
        if self.is_open:
            raise ValueError(f"{self} has an open size")
        return cast(tuple[int, ...], self.shape)

    @property
    def elements(self) -> int:
        """Numbers in one sample. Raises ValueError if a size is open."""
        return math.prod(self.sizes)

    @property
    def bytes(self) -> int:
        """Bytes of one sample, dense. Raises ValueError if a size is open."""
        return self.elements * self.dtype.bytes

    def __str__(self) -> str:
        return self.written("x")

    def written(self, times: str) -> str:
        """As text, with a sign between the sizes, whose names may hold an x."""
        shown = [str(d) for d in self.shape]
        between = f" {times} " if {"(", "*"} & {*"".join(shown)} else times
        sizes = between.join(f"({d})" if _is_sum(d) else str(d) for d in self.shape)
        codes = "" if self.quantisation is None else f" {self.quantisation}"
        return sizes if self.dtype == FLOAT32 else f"{sizes} {self.dtype}{codes}"

    def __repr__(self) -> str:
        return f"TensorType({self})"


def _is_sum(dim: Dim) -> bool:
    """Whether a size is written with a sign; a symbol may be named like one."""
    if not isinstance(dim, OpenDim):
        return False
    return len(dim.terms) + bool(dim.constant) > 1 or any(
        isinstance(atom, Symbol) and " " in atom.name for atom, _ in dim.terms
    )
