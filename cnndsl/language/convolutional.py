"""Fully convolutional use: on a larger input, fully connected layers slide over the map.

A layer that was declared for a map C x H x W becomes a convolution with an H x W window and the
same parameters, and the layers behind it 1x1 convolutions. Every position of the result is what
the declared network gives for one crop of the input, exactly so if all padding is valid.

Source: Sermanet et al. (2014), OverFeat, section 3.5; Long et al. (2015), section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from cnndsl.ir import algebra
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.convolution import Conv
from cnndsl.ir.operators.dense import FullyConnected
from cnndsl.ir.types import TensorType

Windows: TypeAlias = Mapping[str, TensorType]
"""What each fully connected layer is declared for, by its path."""


def declared_windows(graph: Graph) -> dict[str, TensorType]:
    """The operand's type of each fully connected layer."""
    return {
        node.name: graph.input_types(node)[0]
        for node in graph.nodes()
        if isinstance(node.op, FullyConnected)
    }


def slides(operator: Operator, window: TensorType, x: TensorType) -> bool:
    """Whether a layer declared for `window` slides over `x`, which is a larger map."""
    if not isinstance(operator, FullyConnected) or window == x or x.rank == 0:
        return False
    kernel = _kernel(window, x)
    return (
        window.channels == x.channels
        and len(kernel) == x.rank
        and all(not isinstance(n, int) or n >= k for n, k in zip(x.spatial, kernel, strict=True))
    )


def convolution(
    layer: FullyConnected, window: TensorType, x: TensorType, params: Mapping[str, Expression]
) -> tuple[Conv, dict[str, Expression]]:
    """The convolution that a layer with these parameters is on `x`."""
    kernel = _kernel(window, x)
    weight = algebra.reshape(params["weight"], (layer.units, x.channels, *kernel))
    conv = Conv(layer.units, kernel, pad="valid", bias=layer.bias)
    return conv, {**params, "weight": weight}


def _kernel(window: TensorType, x: TensorType) -> tuple[int, ...]:
    """The window's sizes; behind a layer that slides, a vector is one position of a map."""
    return tuple(n for n in window.spatial if isinstance(n, int)) or (1,) * x.rank
