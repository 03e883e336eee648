"""Instances to graph nodes: paths, shared weights, and operator errors with their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnndsl.diagnostics import Note, Span
from cnndsl.ir.attributes import LARGEST, AttributeValueError, build
from cnndsl.ir.expressions import Constant, Expression, Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.operators.dense import FullyConnected
from cnndsl.ir.operators.structure import Identity
from cnndsl.ir.types import TensorType
from cnndsl.language import limits
from cnndsl.language.convolutional import Windows, convolution, slides
from cnndsl.language.foreign import value_remark
from cnndsl.language.messages import Fatal, Problem
from cnndsl.language.paths import Path, join
from cnndsl.language.signatures import check_complete, signature_of
from cnndsl.language.values import Applicable, Settings


class GraphWriter:
    """Adds operators to a graph. Weights of equal names are one parameter.

    What follows an error is written on, so that further errors are found. Such nodes are
    `doubtful`: problems with their shapes may be consequences of the first error.

    Fully connected layers that meet a larger map than their `windows` become convolutions and are
    noted in `sliding`.
    """

    def __init__(self, graph: Graph, windows: Windows):
        self.graph = graph
        self.windows = windows
        self.sliding: set[str] = set()
        self.doubtful: set[str] = set()
        self.parameters: dict[str, Parameter] = {}

    def add(
        self,
        applied: Applicable,
        operands: Sequence[Node],
        path: Path,
        name: str,
        span: Span,
        weights: str | None = None,
    ) -> Node:
        """A node for an operator under `path`. Raises Problem with the place at fault."""
        operator = self._operator(applied, span)
        if len(self.graph) >= limits.NODES:
            raise Fatal("E0503", f"the network has more than {limits.NODES:,} operators", span)
        full_name = join(path.name, name)
        try:
            prefix = join(path.weights, weights or name)
            operator, params = self._bound(full_name, operator, operands, prefix, span)
            node = self.graph.add(full_name, operator, operands, params, frozenset([span]))
        except OperatorError as error:
            problem = _located(error, applied.given, operands, span)
            problem.is_consequence = error.show_operands and self._in_doubt(operands)
            raise problem from None
        if any(isinstance(size, int) and size > LARGEST for size in node.type.shape):
            message = f"{node.type} has an axis of more than {LARGEST:,} positions"
            raise Problem("E0502", message, span)
        if self._in_doubt(operands):
            self.doubtful.add(full_name)
        return node

    def stand_in(self, node: Node) -> Node:
        """A doubtful copy of a value, in place of the result of a step that failed."""
        name = f"{node.name.partition('?')[0]}?{len(self.graph)}"
        self.doubtful.add(name)
        return self.graph.add(name, Identity(), [node], spans=node.spans)

    def _in_doubt(self, operands: Sequence[Node]) -> bool:
        return any(operand.name in self.doubtful for operand in operands)

    def _operator(self, applied: Applicable, span: Span) -> Operator:
        target = applied.target
        assert isinstance(target, type)
        given: Settings = {**applied.defaults.get(target.name, {}), **applied.given}
        check_complete(signature_of(target), set(given), span)
        try:
            operator: Operator = build(target, {name: _plain(g.value) for name, g in given.items()})
        except AttributeValueError as error:
            value = given[error.name]
            hint = value_remark(error.name, value.value)
            if isinstance(value.value, float) and "whole number" in error.says:
                hint = "round(x), floor(x) and ceil(x) are whole numbers"
            raise Problem("E0309", f"{target.name}: {error}", value.span, hint=hint) from None
        return operator

    def _bound(
        self, name: str, operator: Operator, operands: Sequence[Node], prefix: str, span: Span
    ) -> tuple[Operator, dict[str, Expression]]:
        """The operator and its parameters; a convolution where a layer slides over its operand."""
        types = [operand.type for operand in operands]
        window = self.windows.get(name)
        if window is not None and slides(operator, window, types[0]):
            self.sliding.add(name)
            if not isinstance(operator, FullyConnected):
                return Identity(), {}
            params = self._parameters(operator, [window], operands, prefix, span)
            return convolution(operator, window, types[0], params)
        return operator, self._parameters(operator.bind(types), types, operands, prefix, span)

    def _parameters(
        self,
        operator: Operator,
        types: Sequence[TensorType],
        operands: Sequence[Node],
        prefix: str,
        span: Span,
    ) -> dict[str, Expression]:
        params: dict[str, Expression] = {
            role: Constant(values) for role, values in operator.constants().items()
        }
        for role, spec in operator.parameters(types).items():
            name = f"{prefix}.{role}"
            parameter = Parameter(name, spec.shape, spec.init, spec.learned)
            known = self.parameters.setdefault(name, parameter)
            if known != parameter:
                shapes = ["x".join(map(str, p.shape)) for p in (known, parameter)]
                raise Problem(
                    "E0221",
                    f"this layer's weight {name} is {shapes[0]}, here it would have to be "
                    f"{shapes[1]}",
                    span,
                    hint="a shared layer is applied to values of one shape",
                    notes=_origins(operands),
                )
            params[role] = parameter
        return params


def _plain(value: Any) -> Any:
    """An argument; of a value of the network its type alone."""
    return value.type if isinstance(value, Node) else value


def _located(
    error: OperatorError, given: Settings, operands: Sequence[Node], span: Span
) -> Problem:
    if error.attribute is not None and error.attribute in given:
        span = given[error.attribute].span
    notes = _origins(operands) if error.show_operands else []
    return Problem(error.code, error.message, span, hint=error.hint, notes=notes)


def _origins(operands: Sequence[Node]) -> list[Note]:
    """Where each operand came from, and its shape."""
    return [
        Note(f"{operand.type} from {operand.name}", min(operand.spans, key=lambda s: s.start))
        for operand in operands
        if operand.spans
    ]
