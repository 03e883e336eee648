"""A node of the graph as a task for a kernel, however a backend lays tensors out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, Self, TypeVar

from cnndsl.ir.algebra import constant, embed_table, flip, pad
from cnndsl.ir.expressions import Expression
from cnndsl.ir.formula import X
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, Identity, LocalConv, Resize, TiledConv
from cnndsl.ir.part import Chain, Op, Part
from cnndsl.ir.types import TensorType


class Blocked(Protocol):
    """How a tensor lies, in blocks of channels."""

    @property
    def channels(self) -> int:
        """Those that count."""

    @property
    def blocks(self) -> int:
        """How many it takes; the last may not be full."""

    @property
    def block(self) -> int:
        """Channels of a block."""


Layout = TypeVar("Layout", bound=Blocked)


@dataclass(frozen=True)
class Task(Chain[Op], Generic[Op, Layout]):
    """The parts of a node, and how its operands and its result lie."""

    core: Part[Op]
    prologue: tuple[Part[Operator], ...]
    epilogue: tuple[Part[Operator], ...]
    inputs: tuple[Layout, ...]
    output: Layout

    @property
    def x(self) -> Layout:
        """The core's first operand."""
        return self.inputs[0]

    @property
    def joins(self) -> int:
        """How many of the inputs belong to the epilogue."""
        return sum(len(part.inputs) - 1 for part in self.epilogue)

    @property
    def weight(self) -> Expression:
        """The core's weight."""
        return self.core.params["weight"]

    def with_core(self, op: Operator, **params: Expression) -> Self:
        """The same around another core, with some parameters of the core changed."""
        core: Part[Any] = self.core
        changed = replace(core, op=op, params={**core.params, **params})
        return replace(self, core=changed)

    def step_weights(self) -> dict[str, Expression]:
        """The parameters of the steps, [channels], filled up with zeros to whole blocks."""
        found: dict[str, Expression] = {}
        for label, part in self.labelled():
            layout = self.x if label.startswith("prologue") else self.output
            missing = layout.blocks * layout.block - layout.channels
            for role in part.op.formula.roles() if part.op.formula else ():
                found[f"{label}.{role}"] = pad(part.params[role], ((0, missing),))
        return found

    def bias(self) -> dict[str, Expression]:
        """The core's bias [filters], filled up with zeros to whole blocks, if it has one."""
        bias = self.core.params.get("bias")
        if bias is None:
            return {}
        missing = self.output.blocks * self.output.block - self.output.channels
        return {"bias": pad(bias, ((0, missing),))}


def dense_weight(task: Task[Conv, Layout]) -> Expression:
    """A convolution's weight as a dense [filters, channels/groups, *kernel], not flipped."""
    weight = task.weight
    if task.op.table is not None:
        weight = embed_table(weight, task.op.table, task.x.channels)
    return flip(weight, range(2, len(weight.shape))) if task.op.flip else weight


def positional_weight(task: Task[Any, Layout]) -> Expression:
    """The weight of a locally connected or tiled layer: [filters, *tiles, channels, *kernel]."""
    op: LocalConv | TiledConv = task.op
    table = op.table if isinstance(op, LocalConv) else None
    if table is None:
        return task.weight
    return embed_table(task.weight, table, task.x.channels, tiles=len(op.kernel))


def tap_tables(
    op: Resize, x: TensorType, y: TensorType
) -> tuple[dict[str, Expression], tuple[int, ...]]:
    """The taps of a resize: `places0`, `weights0`, ... of each axis, and how many a result has."""
    tables: dict[str, Expression] = {}
    counts = []
    for axis, (n, results) in enumerate(zip(x.sizes[1:], y.sizes[1:], strict=True)):
        taps = op.taps(axis, n, results)
        counts.append(len(taps[0]))
        tables[f"places{axis}"] = constant([place for own in taps for place, _ in own])
        if counts[-1] > 1:
            tables[f"weights{axis}"] = constant([weight for own in taps for _, weight in own])
    return tables, tuple(counts)


def is_step(op: Operator) -> bool:
    """Whether an operator can come before or after a core: it has a formula that is not x."""
    return op.formula not in (None, X)


Parts = tuple[tuple[Part[Operator], ...], Part[Operator], tuple[Part[Operator], ...]]


def parts_of(node: Node) -> Parts:
    """Prologue, core and epilogue of a node, functions of single elements being an epilogue.

    Such a node has an identity as its core, and a join of several operands is one for each further
    one.
    """
    if not is_step(node.op):
        return node.prologue, node.core, node.epilogue
    first, *others = node.core.inputs
    steps = tuple(replace(node.core, inputs=(first, other)) for other in others)
    if not others:
        steps = (node.core,)
    identity: Part[Operator] = Part(Identity(), {}, (first,), first)
    return node.prologue, identity, (*steps, *node.epilogue)
