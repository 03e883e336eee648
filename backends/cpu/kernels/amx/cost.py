"""When products of AMX tiles are cheaper than those of vectors, and how tasks divide the work."""

from __future__ import annotations

import math
from typing import Any

from cnndsl.backends.cpu.kernels.amx.code import Division
from cnndsl.backends.cpu.kernels.amx.shape import SIDE, Shape
from cnndsl.backends.cpu.kernels.direct.blocking import far
from cnndsl.backends.cpu.kernels.direct.division import Work, ranked_divisions
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.kernels.tiles import PER_CYCLE
from cnndsl.backends.cpu.machine import Machine
from cnndsl.backends.native.packing import FLOAT

COPY = 1.0
"""Cycles to copy a block of a position to a strip: a load and a store."""
SUM = 2.0
"""Cycles to store a vector of sums from a tile and to load it again."""


def pays(shape: Shape, machine: Machine) -> bool:
    """Whether it takes fewer cycles than vectors of words do, which need no copy and no tiles."""
    words = -(-shape.channels // shape.size) * math.prod(shape.kernel)
    outputs = shape.batch * math.prod(shape.outputs) * shape.groups * shape.blocks
    return _cycles(shape) < outputs * words / machine.issue


def _cycles(shape: Shape) -> float:
    """Those of one core for all.

    A product of tiles takes a cycle for each row of positions, by Intel's Optimization Reference
    Manual, section 20.5; rows of tiles are loaded two in a cycle.
    """
    tiles = shape.samples * shape.rows * shape.across
    side = min(SIDE, tiles), min(SIDE, shape.blocks)
    loads = shape.height / side[1] + shape.depth / side[0]
    each = max(shape.height, loads / PER_CYCLE)
    sums = tiles * shape.groups * shape.blocks
    multiply = sums * shape.products * each
    copied: int = shape.samples * shape.strip_rows(shape.rows) * shape.width
    copy = copied * shape.groups * shape.inner * COPY
    return multiply + copy + sums * shape.height * SUM


def divisions(shape: Shape, call: Call[Any]) -> list[Division]:
    """How tasks may divide the work, the best division first.

    The strip of a task fits half of the second-level cache. Each task copies its own.
    """
    x, y, machine = call.x, call.output, call.machine
    chunks = shape.pairs * shape.groups
    work = Work(
        rows=shape.rows,
        samples=shape.samples,
        chunks=chunks,
        cycles=_cycles(shape) / (shape.samples * shape.rows),
        read=int(x.bytes * x.plane * x.blocks),
        written=int(y.bytes * y.plane * y.blocks),
        weights=FLOAT * shape.lanes * shape.blocks * shape.groups * shape.products * shape.depth,
    )
    row = FLOAT * shape.strip(1)
    found = [
        Division(rows, math.gcd(count, shape.pairs))
        for rows, count in ranked_divisions(work, far(machine) / row, machine)
    ]
    return list(dict.fromkeys(found))
