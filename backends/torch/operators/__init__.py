"""What each operator is in PyTorch, one file for each family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from cnndsl.backends.torch.code import Layer
from cnndsl.backends.torch.operators import (
    activation,
    attention,
    convolution,
    dense,
    join,
    normalisation,
    pooling,
    positions,
    shape,
    training,
)
from cnndsl.ir.operator import Operator
from cnndsl.ir.part import Part

Writer: TypeAlias = Callable[[Part[Any]], Layer]

WRITERS: Mapping[type[Operator], Writer] = {
    **activation.WRITERS,
    **attention.WRITERS,
    **convolution.WRITERS,
    **dense.WRITERS,
    **join.WRITERS,
    **normalisation.WRITERS,
    **pooling.WRITERS,
    **positions.WRITERS,
    **shape.WRITERS,
    **training.WRITERS,
}
