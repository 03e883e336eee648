"""Winograd convolution whose weights are stored transformed on one axis only.

Transformed on both, weights are up to four times as large as plain ones: where a layer has many
channels and few tiles, reading them from memory takes longer than all the rest. Transformed down
the columns they are at most twice as large. A core transforms all inputs for itself, then takes
panel after panel of output blocks. It goes through the rows of points: for a few input blocks at a
time it transforms the weights of a few points into memory that stays in its first-level cache, and
multiplies all tiles by them. In the end it transforms the products of the panel back. No core waits
for another one or reads what it has written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from cnndsl.backends.cpu.codegen.expressions import Expr, div, load
from cnndsl.backends.cpu.kernels.direct.products import FLOATS_OF_LINE, Ahead
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.backends.cpu.kernels.winograd.code import Chunk, Operands, Piece, WinogradCode
from cnndsl.backends.cpu.kernels.winograd.transforms import transformed_weights


@dataclass(frozen=True)
class Part:
    """Some input blocks of a row of points for a panel: their number, where their weights begin."""

    panel: Expr
    row: Expr
    number: Expr
    weights: Expr


@dataclass(frozen=True)
class PanelsCode(WinogradCode):
    """Writes the code of a plan by panels."""

    def write(self, body: Body) -> None:
        """All outputs: each core its panels, for chunk after chunk."""
        plan, code = self.plan, body.code
        share = -(-plan.panels // plan.cores)
        with code.parallel(plan.cores) as (core,), code.loop(plan.count) as number:
            first = code.name(number * plan.chunks.tiles)
            chunk = Chunk(first, code.name(core * plan.chunk_scratch))
            self.transform_inputs(body, chunk)
            with code.loop(share) as index:
                panel = code.name(core * share + index)
                with code.when(plan.panels % plan.cores == 0 or panel < plan.panels):
                    self._write_panel(body, chunk, panel)

    def _write_panel(self, body: Body, chunk: Chunk, panel: Expr) -> None:
        plan, code = self.plan, body.code
        rows = plan.transforms[0].size
        with code.loop(rows) as row, code.loop(plan.parts) as number:
            block = (panel * rows + row) * plan.span + number * plan.depth
            weights = code.name(block * plan.lanes * plan.channel)
            part = Part(panel, row, number, weights)
            for points in plan.runs:
                self._transform_weights(body, chunk, part, points)
                self._multiply_points(body, chunk, part, points)
        places = code.box([range(plan.tile.blocks), range(plan.chunks.tiles)])
        self.transform_outputs(body, chunk, places, panel)

    def _transform_weights(self, body: Body, chunk: Chunk, part: Part, points: range) -> None:
        """scratch[point of a row][input channel][panel] = (G g) G^T."""
        plan, code = self.plan, body.code
        lanes, blocks, across = plan.lanes, plan.tile.blocks, plan.transforms[1]
        channels = plan.depth_of(part.number * plan.depth) * lanes
        with code.loop(channels) as channel, code.loop(blocks) as block:
            start = code.base(part.weights + channel * plan.channel + block * lanes)
            weight = body.weights["weight"]
            taps = [load(weight, start + tap * blocks * lanes, lanes) for tap in range(across.r)]
            values = transformed_weights(code, across, points, taps, lanes)
            vector = (channel * blocks + block) * lanes
            target = code.base(chunk.start + plan.weights_start + vector)
            for point, value in enumerate(values):
                code.store(body.scratch, target + point * plan.weight_distance, value, lanes)

    def _multiply_points(self, body: Body, chunk: Chunk, part: Part, points: range) -> None:
        """Add to the products of some points of a row what a part of the input blocks gives."""
        plan, code = self.plan, body.code
        row = plan.transforms[1].size
        with code.loop(len(points)) as index:
            column = code.name(index + points.start)
            point = code.name(part.row * row + column)
            weights = plan.weights_start + index * plan.weight_distance
            operands = Operands(
                self.inputs_of(chunk, point, part.panel),
                chunk.start + plan.products_start + point * plan.output_distance,
                body.scratch,
                code.name(chunk.start + weights),
            )
            ask = partial(self._next_part, body, part, column)
            self.add_part(body, operands, part.number, ask)

    def _next_part(self, body: Body, part: Part, column: Expr, piece: Piece, block: Expr) -> Ahead:
        """What to ask for of the next part's weights: all pieces of all points share them."""
        plan = self.plan
        tiles, size = plan.chunks.tiles, plan.lanes * plan.channel // FLOATS_OF_LINE
        rounds = plan.transforms[1].size * tiles
        inner = block - part.number * plan.depth
        done = (column * tiles + piece.column) * plan.depth + inner * piece.columns
        next_part = part.weights + plan.depth * plan.lanes * plan.channel
        start = next_part + div(done * size, rounds) * FLOATS_OF_LINE
        lines = -(-size * piece.columns // rounds)
        return Ahead.of(body.code, body.weights["weight"], start, lines)
