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
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.activation import (
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Tanh,
)
from cnndsl.ir.operators.convolution import Conv
from cnndsl.ir.operators.dense import Flatten, FullyConnected
from cnndsl.ir.operators.structure import Identity
from cnndsl.ir.operators.training import Dropout
from cnndsl.ir.types import TensorType

Windows: TypeAlias = Mapping[str, TensorType]
"""The maps that fully connected layers are declared for, by path, and `flatten` before them."""

PER_ELEMENT = (
    Dropout, HardSigmoid, HardSwish, Identity, LeakyRelu, Relu, Relu6, Sigmoid, Silu, Tanh,
)  # fmt: skip
"""Operators that do the same to a vector as to its map."""


def declared_windows(graph: Graph) -> dict[str, TensorType]:
    """The operand's type of each fully connected layer, that of `flatten` if one comes before.

    A `flatten` is there too if only fully connected layers read its elements.
    """
    windows = {}
    for node in graph.nodes():
        if isinstance(node.op, FullyConnected):
            windows[node.name] = graph.input_types(_unflattened(graph, node))[0]
        elif isinstance(node.op, Flatten) and _feeds_layers_only(graph, node):
            windows[node.name] = graph.input_types(node)[0]
    return windows


def _unflattened(graph: Graph, layer: Node) -> Node:
    """The `flatten` before a layer, if it feeds only such layers; else the layer."""
    (node,) = graph.producers(layer)
    while isinstance(node.op, PER_ELEMENT):
        (node,) = graph.producers(node)
    return node if isinstance(node.op, Flatten) and _feeds_layers_only(graph, node) else layer


def _feeds_layers_only(graph: Graph, node: Node) -> bool:
    return not graph.output_names(node) and all(
        isinstance(reader.op, FullyConnected)
        or (isinstance(reader.op, PER_ELEMENT) and _feeds_layers_only(graph, reader))
        for reader, _ in graph.consumers(node)
    )


def slides(operator: Operator, window: TensorType, x: TensorType) -> bool:
    """Whether a layer declared for `window` slides over `x`, which is a larger map.

    A `flatten` before it then leaves the map as it is.
    """
    if not isinstance(operator, FullyConnected | Flatten) or window == x or x.rank == 0:
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
