"""What a tensor of a model is while it is read: an array, or elements of a node of the graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnndsl.importers.onnx.functions import Function, X
from cnndsl.importers.onnx.layout import Layout, sizes_of
from cnndsl.ir.dims import Dim

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Known:
    """An array that does not depend on the inputs' numbers.

    Shapes that a model computes are arrays of objects, whole numbers and open sizes. `origin` is
    the initialiser that the numbers come from, whatever their order.
    """

    array: Array
    origin: str | None = None

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
