"""What is written on the boxes of a picture, and what their tooltips tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from cnndsl.analysis.report import first_span
from cnndsl.analysis.tree import Block, Leaf
from cnndsl.diagnostics.units import exact, si
from cnndsl.ir.operator import Operator

FORMATS = {
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
"""The attributes worth a place on a box, in the order in which they stand there."""


def operator_label(op: Operator) -> str:
    """The operator with its telling attributes: `conv 3×3, 64, /2`."""
    given = {field.name: field.default for field in fields(op)}
    parts = [
        text.format(_short(name, getattr(op, name)))
        for name, text in FORMATS.items()
        if name in given and not _is_default(getattr(op, name), given[name])
    ]
    return f"{op.name} {', '.join(parts)}".rstrip()


def _is_default(value: Any, default: Any) -> bool:
    """True for the default, also where it has been spread over several axes."""
    if isinstance(value, tuple) and isinstance(default, tuple) and len(default) == 1:
        return set(value) == set(default)
    return bool(value == default)


def _short(name: str, value: Any) -> str:
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    same = len(set(value)) == 1 and name == "stride"
    return str(value[0]) if same else "×".join(map(str, value))


def family(op: Operator) -> str:
    """The family of an operator: the name of the module that defines it."""
    return type(op).__module__.rpartition(".")[2]


def block_label(block: Block) -> str:
    """The instance as the language writes it, `name: block`; just the name where it tells all."""
    if not block.kind or block.name.startswith(block.kind):
        return block.name
    return f"{block.name}: {block.kind}"


def tooltip(part: Block | Leaf) -> str:
    """Path, cost and place in the source, one a line."""
    return "\n".join(_facts(part))


def _facts(part: Block | Leaf) -> Iterator[str]:
    cost = part.cost
    yield f"{part.path}: {part.kind}"
    if isinstance(part, Block):
        yield f"{sum(1 for _ in part.nodes())} nodes"
    elif part.node.op.operands != 0:
        yield f"output {part.node.type}"
    if cost.params:
        yield f"{exact(cost.params)} parameters"
    if cost.macs != 0:
        yield f"{exact(cost.macs)} MACs"
    yield f"{si(cost.bytes, 'B')} of activations"
    place = first_span(part.node) if isinstance(part, Leaf) else None
    if place:
        yield f"{PurePath(place.source.name).name}:{place.line}:{place.column}"
