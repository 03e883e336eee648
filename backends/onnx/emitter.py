"""Writes nodes and initializers of one ONNX graph, and gives them their names.

A graph node becomes ONNX nodes of which the last has the node's name and makes its tensor; the
ones before it are called `<node>/<role>`. An initializer has the name of the parameter that it
holds, or `<node>.<role>` if it is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from onnx import NodeProto, helper

from cnndsl.backends.onnx.dims import Dims
from cnndsl.backends.onnx.opset import in_opset, oldest_opset
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import Dim
from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Operator
from cnndsl.ir.part import Part
from cnndsl.ir.types import FLOAT16, TensorType
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import evaluate

MIDDLE = 128
"""The zero point of codes whose range is as far below 0 as above it."""

Special = TypeVar("Special", bound="Site")


class Emitter:
    """The nodes and initializers written so far.

    `tensors` maps each graph node to the name of its tensor. Arrays have the dtype of the graph's
    numbers, float32 or float16; indices and shapes are int64. `batch` is the batch axis of shapes
    for Reshape: the size, or 0 to keep any. Codes are uint8, or if `signed`, int8 with zero point
    0: if all zero points of the graph are 128.
    """

    def __init__(self, graph: Graph, values: Mapping[str, Array], batch: int | None = None):
        self.graph = graph
        self.values = values
        self.batch = batch or 0
        dtypes = {node.type.dtype for node in graph.nodes()}
        self.floats = np.dtype(np.float16 if FLOAT16 in dtypes else np.float32)
        formats = {node.type.quantisation for node in graph.nodes()} - {None}
        self.signed = bool(formats) and {q.zero for q in formats if q} == {MIDDLE}
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, Array] = {}
        self.tensors = tensor_names(graph)
        self._used = {*self.tensors.values(), *graph.outputs}
        self.dims = Dims(graph, self._add_integers, self._add_size)
        self._parameters: dict[Expression, str] = {}

    def add_node(
        self,
        name: str,
        tensor: str,
        kind: str,
        inputs: Iterable[str],
        *more: str,
        **attributes: Any,
    ) -> None:
        """Append an ONNX node that makes a tensor, and perhaps more."""
        made = [tensor, *more]
        self.nodes.append(helper.make_node(kind, list(inputs), made, name=name, **attributes))

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
        """Store the array of an expression, once however often it is used.

        Raises CnnError (E0412) if it does not fit the number format.
        """
        if expression not in self._parameters:
            wanted = expression.name if isinstance(expression, Parameter) else name
            array = evaluate(expression, self.values, self.floats)
            if self.floats == np.float16 and not np.isfinite(array).all():
                raise CnnError.of("E0412", f"{wanted} holds numbers that float16 has not")
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

    def of_kind(self, kind: type[Special]) -> Special:
        """The same place, of a class that writes parameters in its own way."""
        return kind(self._emitter, self.name, self.part, self.inputs, self.tensor)

    @property
    def signed(self) -> bool:
        """Whether codes are int8."""
        return self._emitter.signed

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
        return self._emitter.batch if self.part.output.batched else 1

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

    def places(self, role: str, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a step that makes indices beside its tensor; returns the name of these."""
        name = f"{self.name}/{role}"
        self._emitter.add_node(name, name, kind, inputs, f"{name}_places", **attributes)
        return f"{name}_places"

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
        """A constant in the dtype of the graph's numbers."""
        return self._constant(role, np.asarray(values, self._emitter.floats))

    def singles(self, role: str, values: ArrayLike) -> str:
        """A float32 constant, whatever the dtype of the graph's numbers: the scales of Resize."""
        return self._constant(role, np.asarray(values, np.float32))

    def zero_point(self, role: str, zero: int) -> str:
        """The zero point of codes."""
        signed = self._emitter.signed
        return self._constant(
            role, np.asarray(zero - MIDDLE, np.int8) if signed else np.uint8(zero)
        )

    def zeros(self, role: str, count: int, dtype: type[np.integer[Any]]) -> str:
        """The zero points of parameters."""
        return self._constant(role, np.zeros(count, dtype))

    def whole_numbers(self, role: str, expression: Expression, dtype: type[np.integer[Any]]) -> str:
        """A computed parameter of whole numbers."""
        return self._constant(role, evaluate(expression, self._emitter.values, dtype))

    @property
    def element(self) -> int:
        """ONNX's number for the dtype of the graph's numbers."""
        return int(helper.np_dtype_to_tensor_dtype(self._emitter.floats))

    def integers(self, role: str, values: Sequence[int] | Array) -> str:
        """An int64 constant: indices, axes, a shape."""
        return self._constant(role, np.asarray(values, np.int64))

    def _constant(self, role: str, array: Any) -> str:
        return self._emitter.add_initializer(f"{self.name}.{role}", array)


def tensor_names(graph: Graph) -> dict[str, str]:
    """The tensor of each node: an input's or output's public name, else the node's name.

    A node that makes several outputs writes the first. A node that shares its name with the
    output of another node makes `<node>/value`, as does one whose batch axis the output lacks.
    """
    names = {name: name for name in graph.inputs}
    for output, maker in graph.outputs.items():
        if graph[maker].type.batched:
            names.setdefault(maker, output)
    public = {*graph.inputs, *graph.outputs}
    for node in graph.nodes():
        names.setdefault(node.name, f"{node.name}/value" if node.name in public else node.name)
    return names
