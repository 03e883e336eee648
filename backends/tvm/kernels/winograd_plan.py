"""What a Winograd convolution is cut into, and its transformed weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.tvm.kernel import Call
from cnndsl.backends.tvm.kernels.blocking import FLOATS_OF_LINE, far, near
from cnndsl.backends.tvm.kernels.plain import conv_weight
from cnndsl.backends.tvm.kernels.transforms import Transform, transform
from cnndsl.backends.tvm.kernels.winograd_cost import Chunks, Shape, best_transforms
from cnndsl.backends.tvm.machine import Machine
from cnndsl.backends.tvm.tiles import Tile, evenly
from cnndsl.ir.algebra import constant, einsum, pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

FEWEST_CHANNELS = 16


def output_tile(
    op: Conv, channels: int, spatial: Sequence[int], batch: int, machine: Machine
) -> tuple[int, ...] | None:
    """Outputs of the cheapest tile by axis, or None if direct convolution is cheaper or needed."""
    shape = shape_of(op, channels, spatial, batch, machine)
    return best_transforms(shape, machine) if shape else None


def shape_of(
    op: Conv, channels: int, spatial: Sequence[int], batch: int, machine: Machine
) -> Shape | None:
    """A convolution as the cost model sees it, or None if it needs direct convolution."""
    lanes, ones = machine.lanes, (1, 1)
    width, filters = channels // op.groups, op.filters // op.groups
    fits = len(op.kernel) == 2 and op.stride == ones and op.dilation == ones
    whole_blocks = op.groups == 1 or (width % lanes == 0 and filters % lanes == 0)
    enough = min(width, filters) >= FEWEST_CHANNELS
    if not (fits and whole_blocks and enough and machine.winograd and lanes > 1):
        return None
    return Shape(op.kernel, tuple(spatial), width, filters, op.groups, batch)


def read_halo(op: Conv, spatial: Sequence[int], tile: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """The zeros that whole tiles need around an input; `spatial` is the output's size."""
    return tuple(
        (before, after + (-n % m))
        for n, m, (before, after) in zip(spatial, tile, op.pads, strict=True)
    )


@dataclass(frozen=True)
class WinogradPlan:
    """A sample has `down` times `across` tiles.

    `inputs` and `outputs` count blocks of channels, outputs up to a multiple of the register
    `tile`; `span` input blocks belong to one group, and are summed up in parts of `depth`.
    `streams` says that the weights are larger than a core's cache.
    """

    transforms: tuple[Transform, ...]
    samples: int
    down: int
    across: int
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

    @classmethod
    def of(
        cls, call: Call, op: Conv, output: tuple[int, ...], chunks: Chunks, tile: Tile
    ) -> WinogradPlan:
        """The plan for tiles of `output`, chunks of them, and a register tile of the products."""
        transforms = tuple(transform(m, r) for m, r in zip(output, op.kernel, strict=True))
        y, machine = call.output, call.machine
        down, across = (-(-n // m) for n, m in zip(y.spatial, output, strict=True))
        inputs = call.x.blocks
        outputs = -(-y.blocks // tile.blocks) * tile.blocks
        span = inputs // op.groups
        panel = 4 * machine.lanes**2 * tile.blocks
        depth = span if chunks.tiles <= tile.columns else evenly(span, near(machine) / panel)
        weights = panel * span * (outputs // tile.blocks) * math.prod(t.size for t in transforms)
        return cls(
            transforms, y.batch, down, across, chunks, inputs, span, outputs, op.groups,
            machine.lanes, machine.cores, tile, depth, weights > far(machine),
        )  # fmt: skip

    @property
    def points(self) -> int:
        """Products of a tile for each pair of channels."""
        return math.prod(t.size for t in self.transforms)

    @property
    def input_distance(self) -> int:
        """Floats from a point of the transformed inputs to the next: an odd number of vectors.

        So the points of one tile do not compete for the same places in a cache.
        """
        return (self.inputs * self.chunks.tiles | 1) * self.lanes

    @property
    def output_distance(self) -> int:
        """Floats from a point of the products to the next."""
        return (self.outputs * self.chunks.tiles | 1) * self.lanes

    @property
    def chunk_scratch(self) -> int:
        """Floats of the transformed tiles of a chunk, inputs before products."""
        floats = self.points * (self.input_distance + self.output_distance)
        return -(-floats // FLOATS_OF_LINE) * FLOATS_OF_LINE

    @property
    def scratch(self) -> int:
        """Floats of all chunks that are in work at a time."""
        return self.chunk_scratch * (self.cores if self.chunks.private else 1)

    def packed(self, call: Call) -> Expression:
        """G g G^T as [points, filters/outputs, channels/lanes, lanes, outputs]."""
        down, across = (constant(t.weight) for t in self.transforms)
        full = einsum("ai,ocij,bj->aboc", down, conv_weight(call), across)
        width, inner = self.tile.blocks * self.lanes, self.span * self.lanes
        _, _, filters, channels = full.shape
        missing = ((0, self.outputs * self.lanes - filters), (0, inner - channels))
        padded = pad(full, ((0, 0), (0, 0), *missing))
        chunks = self.outputs // self.tile.blocks
        shape = (self.points, chunks, width, self.span, self.lanes)
        return transpose(reshape(padded, shape), (0, 1, 3, 4, 2))
