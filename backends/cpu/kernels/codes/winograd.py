"""Winograd's F(2x2, 3x3) on codes in whole numbers, which give the sums of products exactly.

Inputs and weights are transformed in 16 bits: B^T d B of codes is within 1020, (2G) g (2G)^T of
weights within 1143. Products are pairs of 16 bits (`pmaddwd`), 16 for four results in place of 36;
the result is four times the sum (Lavin and Gray 2016, section 4.1). It pays where words are
multiplied by such pairs too. There are no weights of 8 bits here, so large layers, which wait for
memory, are left to words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, all_of, cast, load, vector
from cnndsl.backends.cpu.codegen.layout import Halo, Place
from cnndsl.backends.cpu.codegen.tir import Register
from cnndsl.backends.cpu.kernels.codes.linear import Layer, is_linear, padding
from cnndsl.backends.cpu.kernels.codes.words import MADD, Products, in_order
from cnndsl.backends.cpu.kernels.direct.blocking import far
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import Pieces, largest_divisor
from cnndsl.backends.native.packing import FLOAT, INT16, Weight
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import constant, einsum, pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

TWICE_G = ((2, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 2))
POINTS = 4
"""Of a tile on each axis, for two results."""
STEP = 2
MOST_CHANNELS = 512
"""Partial sums of results stay below 2^31: 3 * 1020 * 1143 for each channel."""
MOST_WEIGHTS = 2 << 20
"""Bytes of transformed weights."""
LEAST = 16
"""Channels and filters from which on transforms are worth their time."""
COLUMNS = {1: 10, 2: 5}
"""Tiles whose sums stay in registers, by the output blocks that are computed together."""


def candidates(call: Call[Any]) -> Iterator[Candidate]:
    """The kernel, if it serves a call."""
    if _takes(call):
        yield Candidate("winograd of codes", partial(_kernel, call))


def _takes(call: Call[Any]) -> bool:
    if not is_linear(call) or not call.machine.winograd or call.machine.lanes != 8:
        return False
    op, x, y = call.op.quantised.op, call.x, call.output
    if Products.of(call.machine).kind != "pairs" or not x.block == y.block == 8:
        return False
    if not isinstance(op, Conv) or op.kernel != (3, 3) or op.groups > 1:
        return False
    if {*op.stride, *op.dilation} != {1} or min(x.channels, y.channels) < LEAST:
        return False
    weights = POINTS**2 * INT16.bytes * x.blocks * y.blocks * 64
    return min(y.spatial) >= POINTS and x.channels <= MOST_CHANNELS and weights <= MOST_WEIGHTS


def _halo(call: Call[Any]) -> Halo:
    """The padding, and what the last tiles read behind it where sizes are odd."""
    axes = zip(padding(call), call.output.spatial, strict=True)
    return tuple((before, after + size % STEP) for (before, after), size in axes)


FAMILY = Family(candidates, _takes, _halo)


def _kernel(call: Call[Any]) -> Kernel:
    found = Tiles(call, Layer(call))
    weights = {"weight": Weight(found.weight(), INT16), **found.layer.weights()}
    return Kernel("winograd", weights, found.write, call.machine.cores * found.scratch)


@dataclass(frozen=True)
class Tiles:
    """Chunks of rows of tiles, one after another on a core.

    Its scratch memory holds the transformed inputs of a chunk, [points, tiles, words of two
    channels], and the products of a few output blocks, [points, blocks, tiles, lanes].
    """

    call: Call[Any]
    layer: Layer

    @property
    def across(self) -> int:
        """Tiles of a row."""
        return int(-(-self.call.output.spatial[1] // STEP))

    @property
    def down(self) -> int:
        """Rows of tiles."""
        return int(-(-self.call.output.spatial[0] // STEP))

    @property
    def words(self) -> int:
        """Words of two channels of an input position."""
        return self.call.x.blocks * self.call.x.block // 2

    @property
    def together(self) -> int:
        """Output blocks that are computed together."""
        return 1 + (self.call.output.blocks % 2 == 0)

    @property
    def rows(self) -> int:
        """Rows of tiles of a chunk: as many as stay in a cache, but work for all cores."""
        row = POINTS**2 * FLOAT * self.across * (self.words + self.together * self.call.x.block)
        most = max(1, far(self.call.machine) // row)
        share = -(-self.down // max(1, self.call.machine.cores // self.call.output.batch))
        return -(-share // -(-share // most))

    @property
    def tiles(self) -> int:
        """Tiles of a chunk."""
        return self.rows * self.across

    @property
    def inputs(self) -> int:
        """Floats of the transformed inputs of a chunk."""
        return POINTS**2 * self.tiles * self.words

    @property
    def scratch(self) -> int:
        """Floats of a core."""
        return self.inputs + POINTS**2 * self.together * self.tiles * self.call.output.block

    def weight(self) -> Expression:
        """[groups of blocks, points, words, outputs of a group, 2]."""
        lanes, outputs = self.call.output.block, self.together * self.call.output.block
        weight = dense_weight(self.layer.plain)
        filters, channels = weight.shape[:2]
        groups = self.call.output.blocks * lanes // outputs
        full = pad(
            weight,
            (
                (0, groups * outputs - filters),
                (0, 2 * self.words - channels),
                *((0, 0),) * 2,
            ),
        )
        side = constant([list(row) for row in TWICE_G])
        points = einsum("ai,fcij,bj->abfc", side, full, side)
        split = reshape(points, (POINTS**2, groups, outputs, self.words, 2))
        return transpose(split, (1, 0, 3, 2, 4))

    def write(self, body: Body) -> None:
        """All results."""
        code, y, cores = body.code, body.output, self.call.machine.cores
        chunks = -(-self.down // self.rows)
        with code.share(cores, y.layout.batch, chunks) as (core, n, chunk):
            first = code.name(chunk * self.rows)
            start = code.name(core * self.scratch)
            with code.when(chunk == 0), code.loop(y.layout.blocks) as block:
                y.clear_halo(code, n, block)
            for row, tile in self._tiles(body, first):
                with code.loop(self.call.x.blocks) as block:
                    self._transform(body, n, block, row, tile, start)
            with code.loop(y.layout.blocks // self.together) as group:
                self._multiply(body, group, start)
                for row, tile in self._tiles(body, first):
                    for b in range(self.together):
                        block = code.name(group * self.together + b)
                        self._finish(body, n, block, b, row, tile, start)

    def _tiles(self, body: Body, first: Expr) -> Iterator[tuple[tuple[Expr, Expr], Expr]]:
        """The row and the column of each tile of a chunk that there is, and its number."""
        code = body.code
        with code.loop(self.rows) as index:
            row = code.name(first + index)
            inside = True if self.down % self.rows == 0 else row < self.down
            with code.when(inside), code.loop(self.across) as column:
                yield (row, column), code.name(index * self.across + column)

    def _transform(
        self, body: Body, n: Expr, block: Expr, at: tuple[Expr, Expr], tile: Expr, start: Expr
    ) -> None:
        """B^T d B of a block of channels of a tile."""
        code, x = body.code, body.inputs[0]
        lanes = x.layout.block
        corner = [i * STEP - before for i, (before, _) in zip(at, padding(self.call), strict=True)]
        index = code.base(x.layout.index(n, block, corner))

        def codes(i: int, j: int) -> Expr:
            offset = i * x.layout.strides[0] + j * x.layout.strides[1]
            value = cast(load(x.buffer, index + offset, lanes), "int16", lanes)
            return code.register(value, lanes, "int16").value

        def kept(values: Sequence[Expr]) -> list[Expr]:
            return [code.register(value, lanes, "int16").value for value in values]

        rows = [kept(_inputs([codes(i, j) for j in range(POINTS)])) for i in range(POINTS)]
        place = code.base(start + tile * self.words + block * (lanes // 2))
        for j in range(POINTS):
            for i, value in enumerate(_inputs([row[j] for row in rows])):
                target = place + (i * POINTS + j) * (self.tiles * self.words)
                bits = tirx.reinterpret(f"float32x{lanes // 2}", value)
                code.store(body.scratch, target, bits, lanes // 2)

    def _multiply(self, body: Body, group: Expr, start: Expr) -> None:
        """The sums of products of all words, for each point, tile and output block of a group."""
        code, lanes, words = body.code, self.call.output.block, self.words
        outputs = self.together * lanes
        unrolled = largest_divisor(words, 4)
        pieces = Pieces.of(self.tiles, COLUMNS[self.together])
        with code.loop(POINTS**2) as point:
            weights = code.name((group * POINTS**2 + point) * (words * outputs * 2))
            for first, width in pieces.walk(code):
                sums = [[self._zero(body) for _ in range(self.together)] for _ in range(width)]
                inputs = code.base(start + (point * self.tiles + first) * words)
                with code.loop(words // unrolled) as outer:
                    at = code.base(outer * unrolled)
                    row = code.base(weights + outer * (unrolled * outputs * 2))
                    for word in range(unrolled):
                        self._add(body, sums, inputs + (at + word), row + word * (outputs * 2))
                target = code.base(start + self.inputs + self._product(point, 0, first))
                for column, blocks in enumerate(sums):
                    for b, total in enumerate(blocks):
                        place = target + (b * self.tiles + column) * lanes
                        bits = tirx.reinterpret(f"float32x{lanes}", total.value)
                        code.store(body.scratch, place, bits, lanes)

    def _product(self, point: Expr, b: int, tile: Expr) -> Expr:
        """Where the products of a point, a block of the group and a tile lie behind the inputs."""
        return ((point * self.together + b) * self.tiles + tile) * self.call.output.block

    def _zero(self, body: Body) -> Register:
        lanes = self.call.output.block
        return body.code.register(vector(tirx.const(0, "int32"), lanes), lanes, "int32")

    def _add(
        self, body: Body, sums: Sequence[Sequence[Register]], inputs: Expr, weights: Expr
    ) -> None:
        """The products of a word of two channels."""
        code, lanes = body.code, self.call.output.block
        vectors = [
            load(body.weights["weight"], weights + b * 2 * lanes, 2 * lanes)
            for b in range(self.together)
        ]
        for column, blocks in enumerate(sums):
            word = tirx.reinterpret("int32", load(body.scratch, inputs + column * self.words))
            pair = tirx.reinterpret(f"int16x{2 * lanes}", vector(word, lanes))
            for factors, total in zip(vectors, blocks, strict=True):
                products = tirx.call_llvm_pure_intrin(f"int32x{lanes}", MADD[lanes], pair, factors)
                code.set(total, in_order(total.value + products, lanes))

    def _finish(
        self,
        body: Body,
        n: Expr,
        block: Expr,
        b: int,
        at: tuple[Expr, Expr],
        tile: Expr,
        start: Expr,
    ) -> None:
        """A^T M A is four times the sums; the results of a tile are stored."""
        code, lanes = body.code, self.call.output.block
        place = code.base(start + self.inputs + self._product(0, b, tile))
        distance = self.together * self.tiles * lanes

        def kept(value: Expr) -> Expr:
            return code.register(value, lanes, "int32").value

        def product(i: int, j: int) -> Expr:
            index = place + (i * POINTS + j) * distance
            return kept(tirx.reinterpret(f"int32x{lanes}", load(body.scratch, index, lanes)))

        rows = [[kept(v) for v in _outputs([product(i, j) for j in range(POINTS)])]
                for i in range(POINTS)]  # fmt: skip
        bias = kept(self.layer.bias(body, block))
        two = vector(tirx.const(STEP, "int32"), lanes)
        for j in range(STEP):
            for i, value in enumerate(_outputs([row[j] for row in rows])):
                position = tuple(
                    code.name(index * STEP + part) for index, part in zip(at, (i, j), strict=True)
                )
                sizes = zip(position, self.call.output.spatial, strict=True)
                with code.when(all_of([p < size for p, size in sizes if size % STEP])):
                    total = tirx.shift_right(value, two) + bias
                    self.layer.store(body, Place(n, block, position), total)


def _inputs(d: Sequence[Expr]) -> list[Expr]:
    """B^T of four numbers."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _outputs(m: Sequence[Expr]) -> list[Expr]:
    """A^T of four numbers."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
