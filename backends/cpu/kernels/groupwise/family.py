"""Statistics of groups of elements, and functions of single elements and these."""

from __future__ import annotations

from functools import partial

from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.groupwise.positions import at_positions
from cnndsl.backends.cpu.kernels.groupwise.runs import Runs, over_positions
from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
from cnndsl.ir.algebra import pad
from cnndsl.ir.operators import OPERATORS, Groupwise


def groupwise(call: Call[Groupwise]) -> Kernel:
    """The kernel for groups of either kind."""
    layout = call.x
    missing = layout.blocks * layout.block - layout.channels
    params = {role: pad(value, ((0, missing),)) for role, value in call.core.params.items()}
    groups = call.op.groups_of(layout.channels)
    write, scratch = at_positions, 0
    if groups is not None:
        runs = Runs.of(call, groups)
        write, scratch = partial(over_positions, runs=runs), runs.scratch
    return Kernel("groupwise", {**params, **call.step_weights()}, write, scratch)


FAMILIES: Makers = {op: groupwise for op in OPERATORS if issubclass(op, Groupwise)}
