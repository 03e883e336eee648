"""Depthwise convolution and others in narrow groups as kernels of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.direct.products import LONG
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.grouped import depthwise
from cnndsl.backends.cpu.kernels.grouped.depthwise import Depthwise
from cnndsl.backends.cpu.kernels.grouped.narrow import NarrowGroups
from cnndsl.backends.cpu.kernels.grouped.uneven import UnevenGroups, most_groups
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import OpenPieces, Pieces
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.operators import Conv


def candidates(call: Call[Conv]) -> Iterator[Candidate]:
    """Kernels with tiles of different widths."""
    if not _fits(call):
        return
    op = call.op
    kernel, held = _uneven, _held_by_uneven(call)
    if _is_even(call):
        width = call.x.channels // op.groups
        kernel, held = (_depthwise, 0) if width == 1 else (_narrow, op.kernel[-1])
    for pieces in _pieces(call, held):
        yield Candidate(f"grouped {pieces.width}", partial(kernel, call, op, pieces))


def _fits(call: Call[Conv]) -> bool:
    """Whether there are groups, of few outputs, of an operand as it lies."""
    op, lanes = call.op, call.machine.lanes
    if call.prologue or call.is_pooled or not call.x.block == call.output.block == lanes:
        return False
    if op.groups == 1:
        return False
    products = call.x.channels // op.groups * op.kernel[-1]
    return _is_even(call) or (op.filters // op.groups < lanes and products <= LONG)


def _is_even(call: Call[Conv]) -> bool:
    """Whether blocks read the blocks of their number.

    They do if the groups have as many inputs as outputs and divide the vector width.
    """
    op, channels = call.op, call.x.channels
    return op.filters == channels and call.machine.lanes % (channels // op.groups) == 0


FAMILY = Family(candidates, _fits)


def _held_by_uneven(call: Call[Conv]) -> int:
    """Registers of weights, and of the lanes that groups begin with where that is not known."""
    op, lanes = call.op, call.machine.lanes
    size = op.filters // op.groups
    return op.kernel[-1] + (most_groups(size, lanes) - 1 if lanes % size else 0)


def _pieces(call: Call[Any], held: int) -> Sequence[Pieces | OpenPieces]:
    """The tiles of a row: as few as the registers allow, then those of nearly that number."""
    columns, machine = call.output.spatial[-1], call.machine
    best = depthwise.row_pieces(columns, machine, held)
    if isinstance(best, OpenPieces):
        return [best]
    counts = sorted(range(1, columns + 1), key=lambda count: abs(count - best.count))
    found = {best.width: best}
    for count in counts:
        pieces = Pieces.in_parts(columns, count)
        if pieces.width < machine.registers:
            found.setdefault(pieces.width, pieces)
    return list(found.values())


def _depthwise(call: Call[Any], op: Conv, pieces: Pieces | OpenPieces) -> Kernel:
    """Row by row in such pieces."""
    lanes = call.machine.lanes
    packed = {"weight": depthwise.packed(dense_weight(call), lanes)}
    weights = {**packed, **call.bias(), **call.step_weights()}

    def write(body: Body) -> None:
        buffers = body.weights["weight"], body.weights.get("bias")
        convolution = Depthwise(op, body.inputs[0], *buffers)
        with body.rows(body.output.layout) as (n, block, row):
            body.clear_halo(n, block, row)
            for column, total in convolution.row(body.code, n, block, row, pieces):
                body.write(Place(n, block, (*row, column)), total.value)

    return Kernel("grouped", weights, write)


def _narrow(call: Call[Any], op: Conv, pieces: Pieces | OpenPieces) -> Kernel:
    """The same for groups of more than one channel."""
    return _in_groups(NarrowGroups(call, op, pieces))


def _uneven(call: Call[Any], op: Conv, pieces: Pieces | OpenPieces) -> Kernel:
    """The same for groups that do not fill vectors evenly."""
    return _in_groups(UnevenGroups(call, op, pieces))


def _in_groups(groups: NarrowGroups) -> Kernel:
    weights = {**groups.weights(), **groups.call.step_weights()}
    return Kernel("grouped", weights, groups.write, groups.scratch)
