"""Writes nodes and initializers of one ONNX graph, and gives them their names.

A graph node becomes ONNX nodes of which the last has the node's name and makes its tensor; the
ones before it are called `<node>/<role>`. An initializer has the name of the parameter that it
holds, or `<node>.<role>` if it is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, helper

from cnndsl.backends.onnx.dims import Dims
from cnndsl.backends.onnx.opset import in_opset, oldest_opset
from cnndsl.ir.dims import Dim
from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Operator
from cnndsl.ir.part import Part
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import evaluate


class Emitter:
    """The nodes and initializers written so far.

    `tensors` maps each graph node to the name of its tensor. Arrays are float32, indices and
    shapes int64. `batch` is the batch axis of shapes for Reshape: the size, or 0 to keep any.
    """

    def __init__(self, graph: Graph, values: Mapping[str, Array], batch: int | None = None):
        self.graph = graph
        self.values = values
        self.batch = batch or 0
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, Array] = {}
        self.tensors = tensor_names(graph)
        self._used = {*self.tensors.values(), *graph.outputs}
        self.dims = Dims(graph, self._add_integers, self._add_size)
        self._parameters: dict[Expression, str] = {}

    def add_node(
        self, name: str, tensor: str, kind: str, inputs: Iterable[str], **attributes: Any
    ) -> None:
        """Append an ONNX node of one output."""
        self.nodes.append(helper.make_node(kind, list(inputs), [tensor], name=name, **attributes))

    def _add_size(self, name: str, kind: str, inputs: list[str]) -> str:
        while name in self._used:
            name += "_"
        self._used.add(name)
        self.add_node(name, name, kind, inputs)
        return name

    def finish(self, opset: int | None) -> int:
        """Give all nodes the form of an opset, by default of the oldest; returns that.

        Raises CnnError (E0704).
        """
        chosen = oldest_opset(self.nodes, opset)
        self.nodes = [in_opset(node, chosen, self._add_integers) for node in self.nodes]
        return chosen

    def _add_integers(self, name: str, values: list[int]) -> str:
        return self.add_initializer(name, np.asarray(values, np.int64))

    def add_initializer(self, name: str, array: Array) -> str:
        """Store an array; returns its name, which is changed if another tensor has it."""
        while name in self._used:
            name += "_"
        self._used.add(name)
        self.initializers[name] = array
        return name

    def add_expression(self, name: str, expression: Expression) -> str:
        """Store the float32 array of an expression, once however often it is used."""
        if expression not in self._parameters:
            wanted = expression.name if isinstance(expression, Parameter) else name
            array = evaluate(expression, self.values, np.float32)
            self._parameters[expression] = self.add_initializer(wanted, array)
        return self._parameters[expression]


class Site:
    """The place of one part of a graph node in the ONNX graph, where its lowering writes.

    `inputs` are the names of the operands' tensors; `name` is that of the last ONNX node to write,
    `tensor` that of the tensor to make.
    """

    def __init__(
        self,
        emitter: Emitter,
        name: str,
        part: Part[Operator],
        inputs: Sequence[str],
        tensor: str | None = None,
    ):
        self.name = name
        self.part = part
        self.inputs = list(inputs)
        self.tensor = name if tensor is None else tensor
        self._emitter = emitter

    def before(self, label: str, part: Part[Operator], inputs: Sequence[str]) -> Site:
        """The place of a step towards this part's tensor, which has the name of the step."""
        return Site(self._emitter, f"{self.name}/{label}", part, inputs)

    def instead(self, part: Part[Operator], inputs: Sequence[str]) -> Site:
        """The place of another part that makes this one's tensor."""
        return Site(self._emitter, self.name, part, inputs, self.tensor)

    @property
    def params(self) -> Mapping[str, Expression]:
        """The parameters by role."""
        return self.part.params

    @property
    def batch(self) -> int:
        """The batch axis of a shape for Reshape."""
        return self._emitter.batch

    @property
    def input(self) -> str:
        """The tensor of the only operand."""
        (name,) = self.inputs
        return name

    @property
    def input_type(self) -> TensorType:
        """The type of the only operand, without the batch axis."""
        (x,) = self.part.inputs
        return x

    @property
    def output_type(self) -> TensorType:
        """The type of the result."""
        return self.part.output

    def emit(self, kind: str, *inputs: str, **attributes: Any) -> None:
        """Write the ONNX node that makes this node's tensor; the last one."""
        self._emitter.add_node(self.name, self.tensor, kind, inputs, **attributes)

    def step(self, role: str, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write an ONNX node before the last one; returns the name of its tensor."""
        name = f"{self.name}/{role}"
        self._emitter.add_node(name, name, kind, inputs, **attributes)
        return name

    def parameter(self, role: str) -> str:
        """The initializer of a parameter."""
        return self.expression(role, self.params[role])

    def expression(self, role: str, expression: Expression) -> str:
        """The initializer of something computed from the parameters."""
        return self._emitter.add_expression(f"{self.name}.{role}", expression)

    def size(self, dim: Dim) -> str:
        """A size as an int64 tensor [1]; an open one is computed from the inputs' shapes."""
        return self._emitter.dims.tensor(dim)

    def value(self, role: str) -> Array:
        """The float64 array of a parameter, to make constants from; do not write into it."""
        return evaluate(self.params[role], self._emitter.values)

    def floats(self, role: str, values: ArrayLike) -> str:
        """A float32 constant."""
        return self._constant(role, np.asarray(values, np.float32))

    def integers(self, role: str, values: Sequence[int] | Array) -> str:
        """An int64 constant: indices, axes, a shape."""
        return self._constant(role, np.asarray(values, np.int64))

    def _constant(self, role: str, array: Array) -> str:
        return self._emitter.add_initializer(f"{self.name}.{role}", array)


def tensor_names(graph: Graph) -> dict[str, str]:
    """The tensor of each node: an input's or output's public name, else the node's name.

    A node that makes several outputs writes the first. A node that shares its name with the
    output of another node makes `<node>/value`.
    """
    names = {name: name for name in graph.inputs}
    for output, maker in graph.outputs.items():
        names.setdefault(maker, output)
    public = {*graph.inputs, *graph.outputs}
    for node in graph.nodes():
        names.setdefault(node.name, f"{node.name}/value" if node.name in public else node.name)
    return names
