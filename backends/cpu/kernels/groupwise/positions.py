"""Groups that are the channels of one position, some neighbouring positions at a time.

What several walks read is in the nearest cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import add

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    LOWEST,
    Expr,
    larger,
    shuffled,
    vector,
)
from cnndsl.backends.cpu.codegen.extents import Number
from cnndsl.backends.cpu.codegen.layout import Place, Tensor
from cnndsl.backends.cpu.codegen.sums import Range, sums
from cnndsl.backends.cpu.codegen.tir import Code, Register
from cnndsl.backends.cpu.kernels.groupwise.values import SIDE_BY_SIDE, combine_into, value_of
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.backends.cpu.kernels.tiles import Pieces
from cnndsl.ir.formula import Formula, Stage, X
from cnndsl.ir.operators import Groupwise
from cnndsl.ir.types import FLOAT32


def at_positions(body: Body) -> None:
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
                combine_into(code, registers, terms((block,)), combine)
        if rest:
            last = [_filled(term, rest, start, lanes) for term in terms((whole,))]
            combine_into(code, registers, last, combine)
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
        return value_of(self.body, formula, x, self.statistics[column].__getitem__, block)


def _replaced(formula: Formula, parts: Sequence[Formula]) -> Formula:
    """A formula in which x stands for some parts of it."""

    def made(part: Formula, operands: list[Formula]) -> Formula:
        return X if part in parts else replace(part, operands=tuple(operands))

    return formula.compute(lambda leaf: leaf, made)


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
