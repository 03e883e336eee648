"""What a tensor of a model is while it is read: an array, or elements of a node of the graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnndsl.importers.onnx.functions import Function, X
from cnndsl.importers.onnx.layout import Layout, sizes_of
from cnndsl.ir.dims import Dim
from cnndsl.ir.quantisation import LARGEST_WEIGHT

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Known:
    """An array that does not depend on the inputs' numbers.

    Shapes that a model computes are arrays of objects, whole numbers and open sizes. `origin` is
    the initialiser that the numbers come from, whatever their order, `steps` the scales of the
    whole numbers that they are decoded from.
    """

    array: Array
    origin: str | None = None
    steps: Array | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The sizes of the axes."""
        return self.array.shape

    @property
    def is_symbolic(self) -> bool:
        """Whether a size that is not known may be in it."""
        return self.array.dtype == np.object_


@dataclass(frozen=True)
class Value:
    """A function of the elements of a node, laid out as axes; `label` names the last operator."""

    node: str
    layout: Layout
    label: str
    function: Function = X
    integer: bool = False

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The sizes of the axes, the batch first."""
        return sizes_of(self.layout)

    def labelled(self, label: str) -> Value:
        """The same elements, named."""
        return replace(self, label=label)

    def moved(self, layout: Layout) -> Value:
        """The same elements in another layout."""
        return replace(self, layout=layout)


Tensor: TypeAlias = Known | Value


def exact_scales(array: Array, steps: Array) -> tuple[float, ...]:
    """The scales, one for each index of the first axis or one, of which numbers are multiples.

    () unless the multiples are whole numbers of at most LARGEST_WEIGHT.
    """
    filters = array.shape[0] if array.ndim else 0
    if steps.size not in (1, filters) or steps.size == 0 or not (steps > 0).all():
        return ()
    column = steps.astype(np.float32).reshape(-1, *(1,) * (array.ndim - 1))
    for row, step in zip(array, np.broadcast_to(column, (filters, *column.shape[1:])), strict=True):
        whole = np.rint(row / step)
        if not (whole * step == row).all() or not (np.abs(whole) <= LARGEST_WEIGHT).all():
            return ()
    return tuple(map(float, steps.astype(np.float32)))
