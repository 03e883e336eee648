"""Groups that are channels at all positions.

Each walk sums up the positions of every channel; the sums of a group's channels are combined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import add

from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    as_float,
    load,
    minimum,
    number,
    vector,
)
from cnndsl.backends.cpu.codegen.extents import parts
from cnndsl.backends.cpu.codegen.layout import Layout, Place
from cnndsl.backends.cpu.codegen.steps import computed
from cnndsl.backends.cpu.codegen.sums import Range, Total, sums
from cnndsl.backends.cpu.codegen.tir import side
from cnndsl.backends.cpu.kernels.groupwise.values import SIDE_BY_SIDE, combine_into, value_of
from cnndsl.backends.cpu.kernels.kernel import Body, Call
from cnndsl.ir.formula import Formula, Stage
from cnndsl.ir.operators import Groupwise

ENOUGH = 4
"""Tasks for each core that are divided evenly enough."""


@dataclass(frozen=True)
class Runs:
    """How groups of channels at all positions are divided among the cores.

    `unit` neighbouring blocks hold whole groups of `size` channels. A task has a unit, or if there
    are too few one of `slabs` parts of the positions of a block, and cores meet after each step.
    Scratch memory holds a number for each lane: sums of each slab, then the statistics by name.
    """

    layout: Layout
    size: int
    unit: int
    slabs: int
    most: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, call: Call[Groupwise], groups: int) -> Runs:
        """For a call."""
        x, cores = call.x, call.machine.cores
        size = x.channels // groups
        unit = math.lcm(size, x.block) // x.block
        if x.blocks % unit:
            unit = x.blocks
        tasks = x.batch * x.blocks // unit
        slabs = 1 if tasks % cores == 0 or tasks >= ENOUGH * cores else cores
        stages = call.op.stages
        names = (*(name for stage in stages for name in stage), *call.op.once)
        return cls(x, size, unit, slabs, max(map(len, stages)), names)

    @property
    def width(self) -> int:
        """Lanes of a sample."""
        return self.layout.blocks * self.layout.block

    @property
    def scratch(self) -> int:
        """Floats of scratch memory."""
        return (self.most * self.slabs + len(self.names)) * self.layout.batch * self.width

    def sum(self, number: int, n: Expr, slab: Expr) -> Expr:
        """Where the sums of a slab lie."""
        return ((number * self.layout.batch + n) * self.slabs + slab) * self.width

    def statistic(self, name: str, n: Expr) -> Expr:
        """Where a statistic lies."""
        row = self.most * self.slabs + self.names.index(name)
        return (row * self.layout.batch + n) * self.width


def over_positions(body: Body, runs: Runs) -> None:
    """Groups are channels at all positions."""
    code, op, layout = body.code, body.call.op, body.output.layout
    batch, units = layout.batch, layout.blocks // runs.unit
    rows = [side(0, size) for size in layout.spatial[:-1]]
    if runs.slabs == 1:
        with code.parallel(batch, units) as (n, unit):
            for stage in op.stages:
                with code.loop(runs.unit) as index:
                    _sum_up(body, runs, stage, n, 0, code.name(unit * runs.unit + index))
                _combine(body, runs, stage, n, unit)
            with code.loop(runs.unit) as index:
                block = code.name(unit * runs.unit + index)
                body.clear_halo(n, block, [])
                with code.box(rows) as outer:
                    _finish_row(body, runs, n, block, outer)
        return
    for stage in op.stages:
        with code.parallel(batch, runs.slabs, layout.blocks) as (n, slab, block):
            _sum_up(body, runs, stage, n, slab, block)
        with code.parallel(batch, units) as (n, unit):
            _combine(body, runs, stage, n, unit)
    with body.rows(layout) as (n, block, outer):
        body.clear_halo(n, block, outer)
        _finish_row(body, runs, n, block, outer)


def _statistics(body: Body, runs: Runs, n: Expr, block: Expr) -> Callable[[str], Expr]:
    """Those found so far of the channels of a block, each in a register."""
    code, lanes = body.code, runs.layout.block

    @cache
    def statistic(name: str) -> Expr:
        value = load(body.scratch, runs.statistic(name, n) + block * lanes, lanes)
        return code.register(value, lanes).value

    return statistic


def _sum_up(body: Body, runs: Runs, stage: Stage, n: Expr, slab: Expr, block: Expr) -> None:
    """The sums of each channel of a block over the positions of a slab."""
    (x,), code, lanes = body.inputs[:1], body.code, runs.layout.block
    statistic, terms = _statistics(body, runs, n, block), [r.term for r in stage.values()]
    for term in terms:
        value_of(body, term, vector(0.0, lanes), statistic, block)
    rank, spatial = x.layout.rank, x.layout.spatial or (1,)
    if x.layout.is_dense:
        spatial = (math.prod(spatial),)

    def at(position: tuple[Expr, ...]) -> list[Expr]:
        full = ((0,) * (rank - len(position)) + position)[:rank]
        value = x.load(Place(n, block, full))
        return [value_of(body, term, value, statistic, block) for term in terms]

    def side_by_side(position: tuple[Expr, ...]) -> list[Expr]:
        *outer, part = position
        columns = [part * SIDE_BY_SIDE + i for i in range(SIDE_BY_SIDE)]
        return [value for column in columns for value in at((*outer, column))]

    count_of_parts = spatial[-1] // SIDE_BY_SIDE
    rest = spatial[-1] - count_of_parts * SIDE_BY_SIDE
    first, *inner = [*spatial[:-1], count_of_parts]
    size = parts(first, runs.slabs)
    start = code.name(slab * size)
    count = size if runs.slabs == 1 else code.name(minimum(size, first - start))
    mine = Range(start, count, Range.whole(size).most)
    found: list[list[Expr]] = [[] for _ in terms]
    if count_of_parts != 0:
        ranges = [mine, *map(Range.whole, inner)]
        values = sums(code, lanes, ranges, SIDE_BY_SIDE * len(terms), side_by_side)
        found = [values[k :: len(terms)] for k in range(len(terms))]
    totals = [code.register(sum(f, vector(0.0, lanes)), lanes) for f in found]
    if rest != 0:
        most = rest if isinstance(rest, int) else SIDE_BY_SIDE
        behind = Range(count_of_parts * SIDE_BY_SIDE, rest, most)
        is_last = len(spatial) > 1 or runs.slabs == 1 or slab == runs.slabs - 1
        ranges = [mine, *map(Range.whole, inner[:-1])] if len(spatial) > 1 else []
        with code.when(is_last):
            values = sums(code, lanes, [*ranges, behind], len(terms), at)
            combine_into(code, totals, values, add)
    for k, total in enumerate(totals):
        code.store(body.scratch, runs.sum(k, n, slab) + block * lanes, total.value, lanes)


def _combine(body: Body, runs: Runs, stage: Stage, n: Expr, unit: Expr) -> None:
    """The statistics of the groups of a unit, for each of their channels.

    Groups of one channel are combined a vector at a time.
    """
    code, layout, op = body.code, runs.layout, body.call.op
    lanes = layout.block if runs.size == 1 else 1
    together = runs.unit * layout.block // (runs.size * lanes)
    elements = runs.size * math.prod(layout.spatial)
    used = runs.size * lanes * -(-layout.channels // (runs.size * lanes))
    for name in (*stage, *op.once):
        with (
            code.loop(runs.width - used) as lane,
            code.when(unit == layout.blocks // runs.unit - 1),
        ):
            code.store(body.scratch, runs.statistic(name, n) + used + lane, number(0.0))
    with code.loop(together) as index:
        first = code.name((unit * together + index) * (runs.size * lanes))
        with code.when(used == runs.width or first < layout.channels):
            found: dict[str, Expr] = {}

            def keep(name: str, value: Expr) -> None:
                found[name] = code.register(value, lanes).value
                with code.loop(runs.size) as channel:
                    place = runs.statistic(name, n) + first + channel
                    code.store(body.scratch, place, found[name], lanes)

            for index_of_sum, (name, reduction) in enumerate(stage.items()):
                total = Total(code, lanes)
                with code.loop(runs.slabs) as slab, code.loop(runs.size) as channel:
                    place = runs.sum(index_of_sum, n, slab) + first + channel
                    total.add(load(body.scratch, place, lanes))
                factor = number(1.0)
                if reduction.kind == "mean":
                    factor = factor / as_float(elements)
                keep(name, total.value * vector(factor, lanes))
            if stage is op.stages[-1]:
                for name, formula in op.once.items():
                    keep(name, computed(formula, lanes, lambda leaf: _leaf(leaf, found)))


def _leaf(leaf: Formula, statistics: dict[str, Expr]) -> Expr:
    return statistics[str(leaf.value)] if leaf.function == "statistic" else leaf.value


def _finish_row(body: Body, runs: Runs, n: Expr, block: Expr, outer: Sequence[Expr]) -> None:
    """The results of a row of a channel block."""
    (x,), layout, op = body.inputs[:1], body.output.layout, body.call.op
    statistic = _statistics(body, runs, n, block)
    result = op.result
    value_of(body, result, vector(0.0, layout.block), statistic, block)
    with body.code.loop((layout.spatial or (1,))[-1]) as column:
        place = Place(n, block, (*outer, column) if layout.spatial else ())
        body.write(place, value_of(body, result, x.load(place), statistic, block))
