"""Sums over the batch and all positions of each channel, in vectors of the channels of a block.

A core has blocks of channels, or if there are too few a part of the batch for each; the sums of
the parts are then added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.codegen.expressions import Expr, load, minimum, vector
from cnndsl.backends.cpu.codegen.layout import Place, with_lanes_cleared
from cnndsl.backends.cpu.codegen.sums import Range, Total, sums
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import BatchMoment, ReduceTo

SIDE_BY_SIDE = 4
"""Neighbouring positions that are summed up at a time, each by itself: additions take a while."""
ENOUGH = 4
"""Tasks for each core that are divided evenly enough."""

At = Callable[[Place], Expr]


def fits(call: Call[ReduceTo | BatchMoment]) -> bool:
    """Whether a call sums up over all but the channels, and all lies in blocks."""
    op, x, y = call.op, call.x, call.output
    if isinstance(op, ReduceTo) and (not op.batch or op.shape[0] != x.channels):
        return False
    one = math.prod(y.spatial) == 1 and y.channels == x.channels
    maps = [layout for layout in call.inputs if layout.batch == x.batch]
    return one and y.block > 1 and not call.is_open and {a.block for a in maps} == {y.block}


def moments(call: Call[ReduceTo | BatchMoment]) -> Kernel:
    """The sum or the mean of x, of the squares of x - mean, or of (x - mean) times g."""
    runs = _Runs.of(call)
    return Kernel("moments", call.step_weights(), runs.write, runs.scratch)


@dataclass(frozen=True)
class _Runs:
    """How the sums of a call are divided: each block of channels in `slabs` parts of the batch."""

    call: Call[ReduceTo | BatchMoment]
    slabs: int

    @classmethod
    def of(cls, call: Call[ReduceTo | BatchMoment]) -> _Runs:
        """For a call."""
        blocks, cores = call.x.blocks, call.machine.cores
        is_even = blocks % cores == 0 or blocks >= ENOUGH * cores
        return cls(call, 1 if is_even else min(cores, call.x.batch))

    @property
    def scratch(self) -> int:
        """Floats for the sums of the parts."""
        return self.slabs * self.call.x.blocks * self.call.x.block if self.slabs > 1 else 0

    def write(self, body: Body) -> None:
        """All sums."""
        code, x, lanes = body.code, self.call.x, self.call.x.block
        size = -(-x.batch // self.slabs)
        with code.parallel(x.blocks, self.slabs) as (block, slab):
            first = code.name(slab * size)
            count = size if self.slabs == 1 else code.name(minimum(size, x.batch - first))
            total = self._total(body, Range(first, count, size), block)
            if self.slabs == 1:
                self._store(body, block, total)
            else:
                place = (slab * x.blocks + block) * lanes
                code.store(body.scratch, place, total, lanes)
        if self.slabs > 1:
            with code.parallel(x.blocks) as (block,):
                both = Total(code, lanes)
                with code.loop(self.slabs) as slab:
                    place = (slab * x.blocks + block) * lanes
                    both.add(load(body.scratch, place, lanes))
                self._store(body, block, both.value)

    def _store(self, body: Body, block: Expr, total: Expr) -> None:
        x, y = self.call.x, self.call.output
        share = 1 / (x.batch * math.prod(x.spatial)) if self.call.op.mean else 1.0
        place = Place(0, block, (0,) * y.rank)
        body.write(place, with_lanes_cleared(total * vector(share, x.block), place, y))

    def _total(self, body: Body, samples: Range, block: Expr) -> Expr:
        """The sum of a block of channels over some samples."""
        code, layout, lanes = body.code, self.call.x, self.call.x.block
        term = self._term(body, code, block)
        maps = [a for a in self.call.inputs if a.batch == layout.batch and a.rank == layout.rank]
        spatial = layout.spatial or (1,)
        if all(a.is_dense for a in maps):
            spatial = (math.prod(spatial),)

        def at(position: Sequence[Expr]) -> Expr:
            n, *own = position
            full = ((0,) * (layout.rank - len(own)) + tuple(own))[: layout.rank]
            return term(Place(n, block, full))

        def beside(position: tuple[Expr, ...]) -> list[Expr]:
            *outer, part = position
            return [at((*outer, part * SIDE_BY_SIDE + i)) for i in range(SIDE_BY_SIDE)]

        whole, rest = divmod(int(spatial[-1]), SIDE_BY_SIDE)
        outer = [samples, *map(Range.whole, spatial[:-1])]
        found: list[Expr] = []
        if whole:
            found += sums(code, lanes, [*outer, Range.whole(whole)], SIDE_BY_SIDE, beside)
        if rest:
            last = Range(whole * SIDE_BY_SIDE, rest, rest)
            found += sums(code, lanes, [*outer, last], 1, lambda position: [at(position)])
        return code.register(sum(found[1:], found[0]), lanes).value

    def _term(self, body: Body, code: Code, block: Expr) -> At:
        """What is summed up, at a place."""
        x, *others = body.inputs
        if isinstance(self.call.op, ReduceTo):
            return x.load
        lanes, (mean, *given) = self.call.x.block, others
        centre = code.register(mean.load(Place(0, block, (0,) * mean.layout.rank)), lanes).value

        def product(place: Place) -> Expr:
            centred = x.load(place) - centre
            return centred * (given[0].load(place) if given else centred)

        return product
