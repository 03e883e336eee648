"""A node of the graph as a task for a kernel, however a backend lays tensors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from cnndsl.backends.native.steps import parameter_names
from cnndsl.ir.algebra import embed_table, flip, pad
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv


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
class Task(Generic[Layout]):
    """A core with steps before and after it.

    The inputs are the core's operands, then one for each join among the steps of `epilogue`.
    `params` are those of all parts by `label.role`, as in `cnndsl.ir.operators.fused`.
    """

    core: Operator
    prologue: tuple[Operator, ...]
    epilogue: tuple[Operator, ...]
    inputs: tuple[Layout, ...]
    output: Layout
    params: Mapping[str, Expression] = field(compare=False, repr=False)

    @property
    def x(self) -> Layout:
        """The core's first operand."""
        return self.inputs[0]

    def step_weights(self) -> dict[str, Expression]:
        """The parameters of the steps, [channels], filled up with zeros to whole blocks."""
        found: dict[str, Expression] = {}
        for label, steps, layout in (
            ("prologue", self.prologue, self.x),
            ("epilogue", self.epilogue, self.output),
        ):
            missing = layout.blocks * layout.block - layout.channels
            for index, op in enumerate(steps):
                for name in parameter_names(op, f"{label}{index}"):
                    found[name] = pad(self.params[name], ((0, missing),))
        return found

    def dense_weight(self) -> Expression:
        """A convolution's weight as a dense [filters, channels/groups, *kernel], not flipped."""
        op = self.core
        assert isinstance(op, Conv)
        weight = self.params["core.weight"]
        if op.table is not None:
            weight = embed_table(weight, op.table, self.x.channels)
        return flip(weight, range(2, len(weight.shape))) if op.flip else weight
