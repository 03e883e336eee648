"""A graph as text, one line for each node: stable, for people, golden tests and comparisons.

conv1 = conv(image) filters=64 kernel=7x7 stride=2x2 : 64x112x112
    weight = conv1.weight * reshape(bn1.weight / sqrt(bn1.running_var + 1e-05), 64x1x1x1)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from cnndsl.ir.expressions import Constant, Expression, Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Input

INFIX = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2)}
"""Functions written between their two arguments, with their precedence."""

SHOWN = 8
"""Numbers shown of a list; of a longer one the first few and its length."""

DEEPEST = 50
"""Functions inside one another that a formula shows."""


LABELS = {
    "kernel": "{}",
    "filters": "{}",
    "units": "{}",
    "channels": "to {}",
    "stride": "/{}",
    "dilation": "dilation {}",
    "groups": "groups {}",
    "factor": "by {}",
    "size": "to {}",
    "rate": "{}",
    "survival": "{}",
}
"""The attributes worth a place in a label, in the order in which they stand there."""


def graph_text(graph: Graph) -> str:
    """All nodes, producers first, and the outputs; the same for equal graphs."""
    lines = [line for node in graph.nodes() for line in node_lines(graph, node)]
    lines += [f"output {name} = {node}" for name, node in graph.outputs.items()]
    lines += [
        f"auxiliary {name} = {aux.node} weight={aux.weight:g}"
        for name, aux in graph.auxiliaries.items()
    ]
    return "\n".join([f"graph {graph.name}", *lines]) + "\n"


def node_lines(graph: Graph, node: Node) -> Iterator[str]:
    """The line of a node, and one for each parameter that is not plainly its own."""
    if isinstance(node.op, Input):
        photo = graph.photos.get(node.name)
        yield f"{node.name} = input : {node.type}{f' {photo.text(node.type)}' if photo else ''}"
        return
    operands = ", ".join(operand.name for operand in graph.producers(node))
    yield f"{node.name} = {_call(node, operands)} : {node.type}"
    for label, part in node.labelled():
        lead = f"{label}." if node.is_fused else ""
        constants = part.op.constants()
        for role, expression in part.params.items():
            text = expression_text(expression)
            is_own = part is node.core and text == f"{node.name}.{role}"
            if role not in constants and not is_own:
                yield f"    {lead}{role} = {text}"


def operator_text(node: Node) -> str:
    """The names of a node's operators in order: conv+add+relu."""
    return "+".join(part.op.name for part in node.parts)


def operator_label(op: Operator) -> str:
    """The operator with its telling attributes: `conv 3×3, 64, /2`."""
    given = {field.name: field.default for field in fields(op)}
    parts = [
        text.format(_size(name, getattr(op, name)))
        for name, text in LABELS.items()
        if name in given and not _is_default(getattr(op, name), given[name])
    ]
    return f"{op.name} {', '.join(parts)}".rstrip()


def _is_default(value: Any, default: Any) -> bool:
    """True for the default, also where it has been spread over several axes."""
    if isinstance(value, tuple) and isinstance(default, tuple) and len(default) == 1:
        return set(value) == set(default)
    return bool(value == default)


def _size(name: str, value: Any) -> str:
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    same = len(set(value)) == 1 and name == "stride"
    return str(value[0]) if same else "×".join(map(str, value))


def _call(node: Node, operands: str) -> str:
    if node.is_fused:
        return f"fused({operands}) {{ {operators_text(node)} }}"
    attributes = " ".join(_attributes(node.op))
    return f"{node.op.name}({operands}) {attributes}".rstrip()


def operators_text(node: Node) -> str:
    """Its operators with attributes: `conv filters=64 kernel=7x7 bias=false -> relu`."""
    return " -> ".join(" ".join([part.op.name, *_attributes(part.op)]) for part in node.parts)


def _attributes(op: Operator) -> Iterator[str]:
    """The attributes that are not the defaults, in their stored form."""
    for field in fields(op):
        value = getattr(op, field.name)
        default: Any = field.default
        spread = isinstance(value, tuple) and isinstance(default, tuple)
        if set(value) != set(default) if spread else value != default:
            yield f"{field.name}={_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        if all(isinstance(item, int) for item in value) and len(value) <= SHOWN:
            return "x".join(map(str, value))
        shown = [_value(item) for item in value[:SHOWN]]
        rest = [f"... {len(value)} in all"] if len(value) > SHOWN else []
        return f"[{', '.join(shown + rest)}]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def expression_text(expression: Expression, precedence: int = 0, depth: int = DEEPEST) -> str:
    """A weight expression as a formula; in brackets if it binds weaker than `precedence`.

    What lies deeper than `depth` functions is left out.
    """
    if isinstance(expression, Parameter):
        return expression.name
    if isinstance(expression, Constant):
        return _value(expression.values)
    if depth == 0:
        return "..."
    if expression.function in INFIX:
        sign, own = INFIX[expression.function]
        left, right = expression.arguments
        first = expression_text(left, own, depth - 1)
        text = f"{first} {sign} {expression_text(right, own + 1, depth - 1)}"
        return f"({text})" if own < precedence else text
    arguments = [expression_text(argument, 0, depth - 1) for argument in expression.arguments]
    if expression.function in ("reshape", "broadcast"):
        arguments.append(_value(expression.shape))
    else:
        arguments += [f"{name}={_value(value)}" for name, value in expression.settings]
    return f"{expression.function}({', '.join(arguments)})"
