"""Depthwise and narrowly grouped convolution as a kernel of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.grouped import depthwise
from cnndsl.backends.cpu.kernels.grouped.depthwise import Depthwise
from cnndsl.backends.cpu.kernels.grouped.narrow import NarrowGroups
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import OpenPieces, Pieces
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.operators import Conv


def candidates(call: Call[Conv]) -> Iterator[Candidate]:
    """Kernels with tiles of different widths."""
    if not _fits(call):
        return
    op, width = call.op, call.x.channels // call.op.groups
    kernel = _depthwise if width == 1 else _narrow
    for pieces in _pieces(call, op, width):
        yield Candidate(f"grouped {pieces.width}", partial(kernel, call, op, pieces))


def _fits(call: Call[Conv]) -> bool:
    """Whether blocks read the blocks of their number, as they are.

    They do if the groups have as many inputs as outputs and divide the vector width.
    """
    op, lanes, channels = call.op, call.machine.lanes, call.x.channels
    if call.prologue or call.is_pooled or not call.x.block == call.output.block == lanes:
        return False
    return op.groups > 1 and op.filters == channels and lanes % (channels // op.groups) == 0


FAMILY = Family(candidates, _fits)


def _pieces(call: Call[Any], op: Conv, width: int) -> Sequence[Pieces | OpenPieces]:
    """The tiles of a row: as few as the registers allow, then those of nearly that number."""
    columns, machine = call.output.spatial[-1], call.machine
    best = depthwise.row_pieces(columns, machine, op.kernel[-1] if width > 1 else 0)
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
    groups = NarrowGroups(call, op, pieces)
    weights = {**groups.weights(), **call.step_weights()}
    return Kernel("grouped", weights, groups.write, groups.scratch)
