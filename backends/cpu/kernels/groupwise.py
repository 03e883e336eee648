"""Statistics of groups of elements, and functions of single elements and these.

Where a group is the channels of one position, a few neighbouring positions are done at a time, so
that what several walks read is in the nearest cache. Where it is channels at all positions, each
walk sums up the positions of every channel; the sums of a group's channels are then combined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from operator import add

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    LOWEST,
    Expr,
    as_float,
    larger,
    load,
    minimum,
    number,
    shuffled,
    vector,
)
from cnndsl.backends.cpu.codegen.extents import Number, parts
from cnndsl.backends.cpu.codegen.layout import Layout, Place, Tensor
from cnndsl.backends.cpu.codegen.steps import computed
from cnndsl.backends.cpu.codegen.sums import Range, Total, sums
from cnndsl.backends.cpu.codegen.tir import Code, Register, side
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import Pieces
from cnndsl.ir.algebra import pad
from cnndsl.ir.formula import Formula, Stage, X
from cnndsl.ir.operators import OPERATORS, Groupwise
from cnndsl.ir.types import FLOAT32

SIDE_BY_SIDE = 4
"""Neighbouring positions that are summed up at a time, each by itself: additions take a while."""
ENOUGH = 4
"""Tasks for each core that are divided evenly enough."""


def groupwise(call: Call[Groupwise]) -> Kernel:
    """The kernel for groups of either kind."""
    layout = call.x
    missing = layout.blocks * layout.block - layout.channels
    params = {role: pad(value, ((0, missing),)) for role, value in call.core.params.items()}
    groups = call.op.groups_of(layout.channels)
    write, scratch = _at_positions, 0
    if groups is not None:
        runs = _Runs.of(call, groups)
        write, scratch = partial(_over_positions, runs=runs), runs.scratch
    return Kernel("groupwise", {**params, **call.step_weights()}, write, scratch)


def _value(
    body: Body, formula: Formula, x: Expr, statistic: Callable[[str], Expr], block: Expr = 0
) -> Expr:
    """A formula of the channels of a block."""
    lanes = body.call.x.block

    def leaf(part: Formula) -> Expr:
        if part.function == "parameter":
            return load(body.weights[str(part.value)], block * lanes, lanes)
        if part.function == "statistic":
            return statistic(str(part.value))
        return x if part.function == "x" else part.value

    return computed(formula, lanes, leaf)


def _at_positions(body: Body) -> None:
    """Groups are the channels at each position."""
    code, layout = body.code, body.output.layout
    *outer, columns = layout.spatial or (1,)
    pieces: Sequence[tuple[Number, int, Number]]
    if isinstance(columns, int):
        closed = Pieces.of(columns, SIDE_BY_SIDE)
        rest = closed.count - closed.wide, closed.width - 1, closed.wide * closed.width
        pieces = (closed.wide, closed.width, 0), rest
    else:
        whole = columns // SIDE_BY_SIDE
        behind = whole * SIDE_BY_SIDE
        pieces = (whole, SIDE_BY_SIDE, 0), (columns - behind, 1, behind)
    for count, width, start in pieces:
        if count != 0:
            with code.parallel(layout.batch, *outer, count) as (n, *row, piece):
                first = code.name(start + piece * width)
                positions = [(*row, first + i) if layout.spatial else () for i in range(width)]
                _Positions(body, n, positions).write()
    if any(map(any, layout.halo)):
        with code.parallel(layout.batch, layout.blocks) as (n, block):
            body.clear_halo(n, block, [])


class _Positions:
    """Some positions of a sample, and the statistics of each, in all lanes, so far."""

    def __init__(self, body: Body, n: Expr, positions: Sequence[tuple[Expr, ...]]):
        self.body, self.code, self.lanes = body, body.code, body.call.x.block
        self.n, self.positions = n, positions
        self.statistics: list[dict[str, Expr]] = [{} for _ in positions]

    def write(self) -> None:
        """Find the statistics, then compute and store the results.

        Exponentials that results are made of are kept where these will be, unless an operand of
        the epilogue may lie there.
        """
        op: Groupwise = self.body.call.op
        *stages, last = op.stages
        for stage in stages:
            self._find(stage, None)
        powers = [r.term for r in last.values() if r.term.function == "exp"]
        result = _replaced(op.result, powers)
        is_float = self.body.call.output.dtype == FLOAT32.name
        is_kept = result != op.result and is_float and not self.body.call.joins
        result = result if is_kept else op.result
        self._find(last, self.body.output if is_kept else None)
        for column, found in enumerate(self.statistics):
            for name, formula in op.once.items():
                found[name] = self._register(self._value(formula, column))
        source = self.body.output if is_kept else self.body.inputs[0]
        self._finish(result, source)

    def _find(self, stage: Stage, kept: Tensor | None) -> None:
        """The statistics of a stage, whose terms `kept` takes."""
        (x,), code, lanes = self.body.inputs[:1], self.code, self.lanes
        whole, rest = divmod(x.layout.channels, lanes)
        columns = range(len(self.positions))
        found = [(column, name, stage[name]) for column in columns for name in stage]
        is_sum = all(reduction.kind != "largest" for reduction in stage.values())

        def terms(at: tuple[Expr, ...]) -> list[Expr]:
            values = []
            for column, _, reduction in found:
                place = self._place(column, at[0])
                value = self._value(reduction.term, column, x.load(place), at[0])
                if kept:
                    value = self._register(value)
                    kept.store(code, place, value)
                values.append(value)
            return values

        if is_sum:
            values = [vector(0.0, lanes)] * len(found)
            if whole:
                values = sums(code, lanes, [Range.whole(whole)], len(found), terms)
            registers = [code.register(value, lanes) for value in values]
            combine, start = add, 0.0
        else:
            registers = [code.register(vector(LOWEST, lanes), lanes) for _ in found]
            combine, start = partial(larger, lanes=lanes), LOWEST
            with code.loop(whole) as block:
                _combined(code, registers, terms((block,)), combine)
        if rest:
            last = [_filled(term, rest, start, lanes) for term in terms((whole,))]
            _combined(code, registers, last, combine)
        for (column, name, reduction), register in zip(found, registers, strict=True):
            _across_lanes(code, register, combine)
            if reduction.kind == "mean":
                code.set(register, register.value * vector(1 / x.layout.channels, lanes))
            self.statistics[column][name] = register.value

    def _finish(self, result: Formula, source: Tensor) -> None:
        y = self.body.output.layout
        whole, rest = divmod(y.channels, self.lanes)

        def store(block: Expr, rest: int) -> None:
            for column in range(len(self.positions)):
                place = self._place(column, block)
                value = self._value(result, column, source.load(place), block)
                self.body.write(place, _filled(value, rest, 0.0, self.lanes) if rest else value)

        with self.code.loop(whole) as block:
            store(block, 0)
        if rest:
            store(whole, rest)

    def _place(self, column: int, block: Expr) -> Place:
        return Place(self.n, block, self.positions[column])

    def _register(self, value: Expr) -> Expr:
        return self.code.register(value, self.lanes).value

    def _value(self, formula: Formula, column: int, x: Expr = None, block: Expr = 0) -> Expr:
        return _value(self.body, formula, x, self.statistics[column].__getitem__, block)


def _replaced(formula: Formula, parts: Sequence[Formula]) -> Formula:
    """A formula in which x stands for some parts of it."""

    def made(part: Formula, operands: list[Formula]) -> Formula:
        return X if part in parts else replace(part, operands=tuple(operands))

    return formula.compute(lambda leaf: leaf, made)


def _combined(
    code: Code,
    registers: Sequence[Register],
    values: Sequence[Expr],
    combine: Callable[[Expr, Expr], Expr],
) -> None:
    for register, value in zip(registers, values, strict=True):
        code.set(register, combine(value, register.value))


def _filled(value: Expr, channels: int, other: float, lanes: int) -> Expr:
    """The value, but another one where there is no channel in the last block."""
    unused = tirx.Ramp(0, 1, lanes) >= tirx.Broadcast(tirx.const(channels, "int32"), lanes)
    return tirx.Select(unused, vector(other, lanes), value)


def _across_lanes(code: Code, register: Register, combine: Callable[[Expr, Expr], Expr]) -> None:
    """Give every lane what all lanes combine to."""
    distance = register.lanes // 2
    while distance:
        order = [lane ^ distance for lane in range(register.lanes)]
        value = register.value
        code.set(register, combine(value, shuffled([value], order)))
        distance //= 2


@dataclass(frozen=True)
class _Runs:
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
    def of(cls, call: Call[Groupwise], groups: int) -> _Runs:
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


def _over_positions(body: Body, runs: _Runs) -> None:
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


def _statistics(body: Body, runs: _Runs, n: Expr, block: Expr) -> Callable[[str], Expr]:
    """Those found so far of the channels of a block, each in a register."""
    code, lanes = body.code, runs.layout.block

    @cache
    def statistic(name: str) -> Expr:
        value = load(body.scratch, runs.statistic(name, n) + block * lanes, lanes)
        return code.register(value, lanes).value

    return statistic


def _sum_up(body: Body, runs: _Runs, stage: Stage, n: Expr, slab: Expr, block: Expr) -> None:
    """The sums of each channel of a block over the positions of a slab."""
    (x,), code, lanes = body.inputs[:1], body.code, runs.layout.block
    statistic, terms = _statistics(body, runs, n, block), [r.term for r in stage.values()]
    for term in terms:
        _value(body, term, vector(0.0, lanes), statistic, block)
    rank, spatial = x.layout.rank, x.layout.spatial or (1,)
    if x.layout.is_dense:
        spatial = (math.prod(spatial),)

    def at(position: tuple[Expr, ...]) -> list[Expr]:
        full = ((0,) * (rank - len(position)) + position)[:rank]
        value = x.load(Place(n, block, full))
        return [_value(body, term, value, statistic, block) for term in terms]

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
            _combined(code, totals, values, add)
    for k, total in enumerate(totals):
        code.store(body.scratch, runs.sum(k, n, slab) + block * lanes, total.value, lanes)


def _combine(body: Body, runs: _Runs, stage: Stage, n: Expr, unit: Expr) -> None:
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


def _finish_row(body: Body, runs: _Runs, n: Expr, block: Expr, outer: Sequence[Expr]) -> None:
    """The results of a row of a channel block."""
    (x,), layout, op = body.inputs[:1], body.output.layout, body.call.op
    statistic = _statistics(body, runs, n, block)
    result = op.result
    _value(body, result, vector(0.0, layout.block), statistic, block)
    with body.code.loop((layout.spatial or (1,))[-1]) as column:
        place = Place(n, block, (*outer, column) if layout.spatial else ())
        body.write(place, _value(body, result, x.load(place), statistic, block))


FAMILIES: Makers = {op: groupwise for op in OPERATORS if issubclass(op, Groupwise)}
