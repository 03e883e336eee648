"""Weights of other shapes that are the same: matrices, kernels over whole maps, [C, 1, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators.convolution import Conv
from cnndsl.ir.operators.dense import FullyConnected
from cnndsl.weights.conversion.layers import Layer, Shape, Signature, squeezed


@dataclass(frozen=True)
class Forms:
    """By layer of a network the kernel [units, C, *map] that its weight is as well.

    These are fully connected layers that read a map, and convolutions as large as their input.
    """

    kernels: Mapping[str, Shape]

    @classmethod
    def of(cls, graph: Graph) -> Forms:
        """Those of a network."""
        found = ((node, _kernel(graph, node)) for node in graph.nodes() if node.params)
        return cls({node.name: kernel for node, kernel in found if len(kernel) > 2})

    def signature(self, layer: Layer) -> Signature:
        """What layers have to share to take each other's arrays, by role."""
        shapes = {role: squeezed(shape) for role, shape in layer.shapes.items()}
        if self.is_matrix(shapes):
            shapes["weight"] = _matrix(shapes["weight"])
        return tuple(sorted(shapes.items()))

    def is_matrix(self, shapes: Mapping[str, Shape]) -> bool:
        """Whether a weight is as large as one of the kernels over whole maps."""
        weight = shapes.get("weight", ())
        return len(weight) > 1 and _matrix(weight) in map(_matrix, self.kernels.values())

    def fits(self, parameter: Parameter, given: Shape) -> bool:
        """Whether an array of a shape can be given the parameter's: reshaped, or repeated."""
        layer, _, role = parameter.name.rpartition(".")
        kernel = self.kernels.get(layer, ()) if role == "weight" else ()
        is_vector = len(parameter.shape) == 1 and set(given[1:]) <= {1}
        return (
            squeezed(given) == squeezed(parameter.shape)
            or (is_vector and given[:1] == parameter.shape)
            or (bool(kernel) and squeezed(given) in (_matrix(kernel), squeezed(kernel)))
            or (parameter.init == "prelu" and given == (1,))
        )


def map_before(graph: Graph, node: Node) -> Shape:
    """The shape of the map that a layer reads, through what only flattens or acts on vectors."""
    (producer,) = graph.producers(node)
    elements = producer.type.elements
    while producer.type.rank == 0:
        before = graph.producers(producer)
        if len(before) != 1 or before[0].type.is_open or producer.params:
            break
        if before[0].type.elements != elements:
            break
        (producer,) = before
    return tuple(size for size in producer.type.shape if isinstance(size, int))


def _kernel(graph: Graph, node: Node) -> Shape:
    """The kernel over the whole map that is read, or nothing."""
    match node.op:
        case FullyConnected(units=units):
            return squeezed((units, *map_before(graph, node)))
        case Conv(kernel=kernel, groups=1, flip=False, table=None, weight=None):
            (before,) = graph.producers(node)
            is_whole = before.type.shape[1:] == kernel and set(node.type.shape[1:]) == {1}
            return squeezed(node.params["weight"].shape) if is_whole else ()
    return ()


def _matrix(shape: Shape) -> Shape:
    return shape[0], prod(shape[1:])
