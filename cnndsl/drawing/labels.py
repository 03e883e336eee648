"""What is written on the boxes of a picture, and what their tooltips tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from cnndsl.analysis.report import first_span
from cnndsl.analysis.tree import Block, Leaf
from cnndsl.diagnostics.units import exact, si
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.text import operator_label


def family(op: Operator) -> str:
    """The family of an operator: the name of the module that defines it."""
    return type(op).__module__.rpartition(".")[2]


def block_label(block: Block) -> str:
    """The instance as the language writes it, `name: block`; just the name where it tells all."""
    name, again, _ = block.name.partition("@")
    shown = f"{name} (its weights again)" if again else name
    if not block.kind or name.startswith(block.kind):
        return shown
    return f"{shown}: {block.kind}"


def leaf_label(leaf: Leaf) -> str:
    """The operator with its attributes, `name: operator` where the network names it."""
    op, label = leaf.node.op, operator_label(leaf.node.op)
    if op.operands == 0:
        return f"{op.name} {leaf.name}"
    name, again, _ = leaf.name.partition("@")
    if again:
        return f"{name} (its weights again): {label}"
    return f"{name}: {label}" if name.rstrip("0123456789") not in BY_NAME else label


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
