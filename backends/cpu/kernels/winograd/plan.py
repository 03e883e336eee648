"""What a Winograd convolution is cut into, and its transformed weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, minimum
from cnndsl.backends.cpu.codegen.extents import Number, parts
from cnndsl.backends.cpu.kernels.direct.blocking import far, near
from cnndsl.backends.cpu.kernels.direct.products import FLOATS_OF_LINE
from cnndsl.backends.cpu.kernels.kernel import Call
from cnndsl.backends.cpu.kernels.tiles import Tile, evenly
from cnndsl.backends.cpu.kernels.winograd.axis import Axis
from cnndsl.backends.cpu.kernels.winograd.cost import PANELS, SHARED, Chunks
from cnndsl.backends.cpu.kernels.winograd.transforms import Transform, transform
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.backends.native.packing import FLOAT, Weight
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import constant, einsum, pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

LONGEST_RUN = 4
"""Points of a row whose weights a core transforms together, at most."""


@dataclass(frozen=True)
class WinogradPlan:
    """A sample has `down` times `across` tiles.

    `inputs` and `outputs` count blocks of channels, outputs up to a multiple of the register
    `tile`: the blocks of a panel. `span` input blocks belong to one group, and are summed up in
    parts of `depth`. `streams` says that the weights are larger than a core's cache. Tiles of
    inputs and weights are float32, or rounded to `words`.
    """

    transforms: tuple[Transform, ...]
    axes: tuple[Axis, ...]
    samples: int
    down: Number
    across: Number
    chunks: Chunks
    inputs: int
    span: int
    outputs: int
    groups: int
    lanes: int
    cores: int
    tile: Tile
    depth: int
    streams: bool
    words: Words | None = None

    @classmethod
    def of(
        cls,
        call: Call[Any],
        op: Conv,
        output: tuple[int, ...],
        chunks: Chunks,
        tile: Tile,
        words: Words | None,
    ) -> WinogradPlan:
        """The plan for tiles of `output`, chunks of them, and a register tile of the products."""
        transforms = tuple(transform(m, r) for m, r in zip(output, op.kernel, strict=True))
        y, machine = call.output, call.machine
        axes = tuple(map(Axis, output, op.dilation))
        down, across = (axis.count(n) for axis, n in zip(axes, call.spatial, strict=True))
        inputs = call.x.blocks
        outputs = -(-y.blocks // tile.blocks) * tile.blocks
        span = inputs // op.groups
        row = (words.dtype.bytes if words else FLOAT) * machine.lanes**2 * tile.blocks
        weights = row * span * (outputs // tile.blocks) * math.prod(t.size for t in transforms)
        if chunks.mode == PANELS:
            depth = evenly(span, machine.caches[0] / 3 / (row * _run(transforms[1].size)))
        elif chunks.tiles <= tile.columns:
            depth = span
        else:
            depth = evenly(span, near(machine) / row)
        return cls(
            transforms, axes, y.batch, down, across, chunks, inputs, span, outputs, op.groups,
            machine.lanes, machine.cores, tile, depth, weights > far(machine), words,
        )  # fmt: skip

    @property
    def is_shared(self) -> bool:
        """Whether all cores share the phases of a chunk."""
        return self.chunks.mode == SHARED

    @property
    def is_by_panels(self) -> bool:
        """Whether each core works on panels of its own, whose weights it transforms."""
        return self.chunks.mode == PANELS

    @property
    def count(self) -> Number:
        """Chunks."""
        return parts(self.samples * self.down * self.across, self.chunks.tiles)

    @property
    def points(self) -> int:
        """Products of a tile for each pair of channels."""
        return math.prod(t.size for t in self.transforms)

    @property
    def panels(self) -> int:
        """Panels of all groups."""
        return self.outputs // self.tile.blocks

    @property
    def parts(self) -> int:
        """Parts of the input blocks."""
        return -(-self.span // self.depth)

    def depth_of(self, first: Expr) -> Expr:
        """Input blocks of the part that starts with a block."""
        return minimum(self.depth, self.span - first) if self.span % self.depth else self.depth

    @property
    def vector(self) -> int:
        """Floats of scratch memory for a block of channels of a transformed input."""
        return self.lanes // (self.words.size if self.words else 1)

    @property
    def row(self) -> int:
        """Numbers of the weights of a panel for one input block and one point."""
        return self.lanes**2 * self.tile.blocks

    @property
    def runs(self) -> list[range]:
        """The points of a row whose weights are transformed together."""
        size, run = self.transforms[1].size, _run(self.transforms[1].size)
        return [range(start, min(start + run, size)) for start in range(0, size, run)]

    @property
    def channel(self) -> int:
        """Floats of the weights of a panel for an input channel and a row of points, by panels."""
        return self.transforms[1].r * self.tile.blocks * self.lanes

    @property
    def input_distance(self) -> int:
        """Floats from a point of the transformed inputs to the next: an odd number of vectors.

        So the points of one tile do not compete for the same places in a cache.
        """
        vectors = -(-self.inputs * self.chunks.tiles * self.vector // self.lanes)
        return (vectors | 1) * self.lanes

    @property
    def output_distance(self) -> int:
        """Floats from a point of the products to the next."""
        kept = self.tile.blocks if self.is_by_panels else self.outputs
        return (kept * self.chunks.tiles | 1) * self.lanes

    @property
    def weight_distance(self) -> int:
        """Floats from a point to the next of the weights that a core has transformed."""
        return (self.depth * self.row // self.lanes | 1) * self.lanes

    @property
    def products_start(self) -> int:
        """Where the products of a chunk begin, behind its transformed inputs."""
        return self.points * self.input_distance

    @property
    def weights_start(self) -> int:
        """Where the weights that a core has transformed begin."""
        return self.products_start + self.points * self.output_distance

    @property
    def chunk_scratch(self) -> int:
        """Floats of scratch memory for a chunk."""
        own = max(map(len, self.runs)) * self.weight_distance if self.is_by_panels else 0
        return -(-(self.weights_start + own) // FLOATS_OF_LINE) * FLOATS_OF_LINE

    @property
    def scratch(self) -> int:
        """Floats of all chunks that are in work at a time."""
        return self.chunk_scratch * (1 if self.is_shared else self.cores)

    def packed(self, call: Call[Any]) -> Weight | Expression:
        """G g G^T as [points, panels, channels/lanes, lanes, panel].

        Of words it is [points, panels, channels/lanes, lanes/word, panel, word]. By panels it is
        G g as [panels, rows of points, channels, columns of the kernel, panel].
        """
        weight, width, inner = (
            dense_weight(call),
            self.tile.blocks * self.lanes,
            self.span * self.lanes,
        )
        filters, channels, *_ = weight.shape
        missing = ((0, self.outputs * self.lanes - filters), (0, inner - channels), (0, 0), (0, 0))
        weight = pad(weight, missing)
        down, across = (constant(t.weight) for t in self.transforms)
        if self.is_by_panels:
            half = einsum("ai,ocij->aocj", down, weight)
            shape = (half.shape[0], self.panels, width, *half.shape[2:])
            return transpose(reshape(half, shape), (1, 0, 3, 4, 2))
        full = einsum("ai,ocij,bj->aboc", down, weight, across)
        shape = (self.points, self.panels, width, self.span)
        if self.words:
            split = reshape(full, (*shape, self.vector, self.words.size))
            return Weight(transpose(split, (0, 1, 3, 4, 2, 5)), self.words.dtype)
        return transpose(reshape(full, (*shape, self.lanes)), (0, 1, 3, 4, 2))


def _run(size: int) -> int:
    """Points of a run of a row that is cut evenly."""
    return evenly(size, LONGEST_RUN)
