"""The graph that is made from a model: nodes, weights, and values as nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.importers.onnx.functions import (
    FLOAT_MAX,
    Argument,
    Function,
    X,
    activation_of,
    affine,
)
from cnndsl.importers.onnx.layout import BATCH_FACTOR, Layout, apart, natural, permuted, together
from cnndsl.importers.onnx.moves import moves
from cnndsl.importers.onnx.names import Names
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.tensors import ELEMENTS
from cnndsl.importers.onnx.values import Array, Value, exact_scales
from cnndsl.ir.attributes import AttributeValueError, attribute_kinds, build
from cnndsl.ir.expressions import Constant, Expression, Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.operators import (
    BY_NAME,
    Add,
    Clamp,
    Divide,
    Input,
    Linear,
    Max,
    Min,
    Mul,
    Relu,
    Relu6,
    Scale,
    Subtract,
)
from cnndsl.ir.part import Part

JOINS: dict[str, type[Operator]] = {
    "add": Add,
    "subtract": Subtract,
    "multiply": Mul,
    "divide": Divide,
    "maximum": Max,
    "minimum": Min,
}
"""Joins by numpy's names."""


@dataclass(frozen=True)
class Weight:
    """Numbers for a parameter, the initialiser that they come from, and scales, see `Known`."""

    array: Array
    origin: str | None = None
    steps: Array | None = None


class Builder:
    """A graph, its weights by name, and for each weight the initialiser that it comes from.

    `batch` is the number of samples that the model is declared for, if it is. `repeated` has for
    nodes that only repeat a value along axes of size 1 that value, with as many axes, and `holders`
    for nodes the tensors of the model whose elements are theirs, moved or not. `scales` has for
    parameters that are decoded whole numbers the scale of each filter, or of all.
    """

    def __init__(self, name: str):
        self.graph = Graph(name)
        self.weights: dict[str, Array] = {}
        self.origins: dict[str, str] = {}
        self.scales: dict[str, tuple[float, ...]] = {}
        self.batch: int | None = None
        self.names = Names()
        self.repeated: dict[str, Value] = {}
        self.holders: dict[str, set[str]] = {}
        self._nodes: dict[Any, str] = {}
        self._parameters: dict[Any, tuple[Parameter, Array]] = {}

    def add(
        self,
        op: Operator,
        operands: Sequence[Node],
        label: str,
        weights: Mapping[str, Weight] | None = None,
    ) -> Node:
        """A new node, its parameters filled with the weights by role. Raises Refusal."""
        given = weights or {}
        types = [operand.type for operand in operands]
        try:
            checked = build(
                type(op), {name: getattr(op, name) for name in attribute_kinds(type(op))}
            )
            part = Part.of(checked, types)
            specs = part.op.parameters(types)
        except OperatorError as error:
            raise Refusal(error.code, error.message, error.hint) from None
        except AttributeValueError as error:
            raise unsupported(f"{op.name} takes no such numbers: {error}") from None
        if not part.output.is_open and part.output.elements > ELEMENTS:
            raise Refusal("E0805", f"its result {part.output} has more than {ELEMENTS:,} numbers")
        for role, spec in specs.items():
            shape = given[role].array.shape
            if shape != spec.shape:
                raise damaged(f"its {role} is {list(shape)}, but has to be {list(spec.shape)}")
        origins = [w.origin for w in given.values() if w.origin]
        name = self.names.node(label, op.name, origins)
        params: dict[str, Expression] = {
            role: Constant(values) for role, values in part.op.constants().items()
        }
        for role, spec in specs.items():
            parameter = Parameter(f"{name}.{role}", spec.shape, spec.init, spec.learned)
            params[role] = self._stored(parameter, given[role])
        return self.graph.add(name, part.op, operands, params)

    def _stored(self, parameter: Parameter, weight: Weight) -> Parameter:
        """The parameter, or the one that has the same numbers already."""
        array = weight.array
        place = (array.__array_interface__["data"][0], array.strides)
        key = (place, parameter.shape, parameter.init)
        if key in self._parameters:
            return self._parameters[key][0]
        self._parameters[key] = parameter, array
        self.weights[parameter.name] = array
        if weight.origin:
            self.origins[parameter.name] = weight.origin
        if weight.steps is not None and (scales := exact_scales(array, weight.steps)):
            self.scales[parameter.name] = scales
        return parameter

    def with_weights(self, node: Node, weights: Mapping[str, Weight]) -> Node:
        """The node with other numbers for some parameters, which it had not perhaps."""
        op = node.op
        if isinstance(op, Linear):
            op = op.with_bias()
        elif hasattr(op, "affine"):
            given = {name: getattr(op, name) for name in attribute_kinds(type(op))}
            op = build(type(op), {**given, "affine": True})
        (x,) = self.graph.input_types(node)
        specs = op.parameters([x])
        params = dict(node.params)
        for role, weight in weights.items():
            spec = specs[role]
            if weight.array.shape != spec.shape:
                raise damaged(f"its operand is {list(weight.array.shape)}, not {list(spec.shape)}")
            parameter = Parameter(f"{node.name}.{role}", spec.shape, spec.init, spec.learned)
            self.weights.pop(parameter.name, None)
            self.origins.pop(parameter.name, None)
            self.scales.pop(parameter.name, None)
            params[role] = self._stored(parameter, weight)
        changed = Node.of(node.name, [(op, params)], [x])
        return self.graph.put(changed, self.graph.producers(node))

    def is_filled(self, node: Node, role: str) -> bool:
        """Whether a parameter is zeros that the model does not have, so that nothing shares it."""
        parameter = node.params[role]
        assert isinstance(parameter, Parameter)
        return parameter.name not in self.origins and not self.weights[parameter.name].any()

    def once(self, key: Any, op: Operator, operands: Sequence[Node], label: str) -> Node:
        """A node without parameters, made at the first time that it is asked for."""
        full = (key, op, *(operand.name for operand in operands))
        if full not in self._nodes:
            self._nodes[full] = self.add(op, operands, label).name
        return self.graph[self._nodes[full]]

    def drop_unused(self) -> None:
        """Remove nodes that no output needs, but inputs, and their weights."""
        for node in reversed(list(self.graph.nodes())):
            used = self.graph.consumers(node) or self.graph.output_names(node)
            if not used and not isinstance(node.op, Input):
                self.graph.remove(node)
        needed = self.graph.parameters()
        self.weights = {name: array for name, array in self.weights.items() if name in needed}
        self.origins = {name: origin for name, origin in self.origins.items() if name in needed}
        self.scales = {name: scales for name, scales in self.scales.items() if name in needed}

    # Values as nodes

    def element(self, value: Value) -> Node:
        """The node whose elements the value has, wherever they are."""
        return self._computed(value.function, self.graph[value.node], value.label)

    def vector(self, value: Value) -> Node | None:
        """The node of a value [batch, channels, 1, ...] that is a vector of the graph."""
        node = self.element(value)
        column = (*natural(node.type.shape), *((),) * (len(value.layout) - 2))
        return node if node.type.rank == 0 and value.layout == column else None

    def plain(self, value: Value) -> Node:
        """The node [batch, *shape] of a value."""
        return self.arranged(self.element(value), value.layout, value.label)

    def facing(self, value: Value, axis: int) -> Value:
        """The value as elements of a node whose channels are its axis. Raises Refusal."""
        node = self.element(value)
        if value.layout[axis] == natural(node.type.shape)[1]:
            return Value(node.name, value.layout, value.label)
        layout, more = apart(value.layout), len(value.layout[0]) > 1
        first = axis + more
        order = [0, first, *(a for a in range(1, len(layout)) if a != first)]
        node = self.arranged(node, permuted(layout, order), value.label)
        back = [order.index(a) for a in range(len(order))]
        made = permuted(natural(node.type.shape), back)
        return Value(node.name, together(made) if more else made, value.label)

    def arranged(self, node: Node, layout: Layout, label: str) -> Node:
        """A node with its elements laid out as its axes. Raises Refusal."""
        if layout[:1] != ((BATCH_FACTOR,),):
            raise Refusal("E0804", "the batch is no longer the first axis")
        if layout == natural(node.type.shape):
            return node
        for step in moves(node.type, layout):
            node = self.once("move", step, [node], label)
        return node

    def _computed(self, function: Function, node: Node, label: str) -> Node:
        """The node that computes a function of a node's elements."""
        if function == X:
            return node
        key = (function, node.name)
        if key not in self._nodes:
            self._nodes[key] = self._compute(function, node, label).name
        return self.graph[self._nodes[key]]

    def _compute(self, function: Function, node: Node, label: str) -> Node:
        kind, arguments = function.kind, function.arguments
        found = kind if arguments == (X,) and isinstance(kind, Operator) else None
        if op := found or activation_of(function):
            return self.add(op, [node], label)
        low, high, inner = _limits(function)
        if inner is not function and (low, high) != (0.0, FLOAT_MAX):
            operand = self._computed(inner, node, f"{label}_in")
            return self.add(
                Relu6() if (low, high) == (0, 6) else Clamp(low, high), [operand], label
            )
        inner, factor, shift = affine(function)
        if inner is not function:
            operand = self._computed(inner, node, f"{label}_in")
            if (factor, shift) == (1, 0):
                return operand
            return self.add(Scale((factor,), (shift,)), [operand], label)
        if isinstance(kind, Operator):
            (argument,) = arguments
            assert isinstance(argument, Function)
            return self.add(kind, [self._computed(argument, node, f"{label}_in")], label)
        return self._primitive(kind, arguments, node, label)

    def _primitive(self, kind: str, arguments: Sequence[Argument], node: Node, label: str) -> Node:
        """A join of functions of a node, or an operator called like the function."""
        op = JOINS.get(kind) or BY_NAME.get("abs" if kind == "absolute" else kind)
        functions = [a for a in arguments if isinstance(a, Function)]
        if op is None or len(functions) < len(arguments):
            raise Refusal("E0802", f"there is nothing in cnndsl for this use of {kind!r}")
        operands = [self._computed(a, node, f"{label}_{i}") for i, a in enumerate(functions)]
        return self.add(op(), operands, label)


def _limits(function: Function) -> tuple[float, float, Function]:
    """Limits of the function, and what is limited."""
    low, high, inner = -FLOAT_MAX, FLOAT_MAX, function
    match inner:
        case Function("minimum", (Function() as a, float(limit)) | (float(limit), Function() as a)):
            high, inner = limit, a
    match inner:
        case Function("maximum", (Function() as a, float(limit)) | (float(limit), Function() as a)):
            low, inner = limit, a
        case Function(Relu(), (Function() as a,)):
            low, inner = 0.0, a
    return (low, high, inner) if low <= high else (low, high, function)
