"""Which Winograd kernels there are for a convolution: other tiles, other chunks of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from cnndsl.backends.cpu.codegen.layout import Halo
from cnndsl.backends.cpu.kernels.direct.halves import Halves
from cnndsl.backends.cpu.kernels.family import Candidate, Family, by_rank
from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import Pieces, Tile, ranked_tiles
from cnndsl.backends.cpu.kernels.winograd.axis import Axis
from cnndsl.backends.cpu.kernels.winograd.code import WinogradCode
from cnndsl.backends.cpu.kernels.winograd.cost import (
    PANELS,
    Chunks,
    Shape,
    best_transforms,
    is_small,
    ranked_chunks,
    ranked_transforms,
)
from cnndsl.backends.cpu.kernels.winograd.panels import PanelsCode
from cnndsl.backends.cpu.kernels.winograd.plan import WinogradPlan
from cnndsl.backends.cpu.kernels.winograd.words import WordsCode
from cnndsl.backends.native.packing import Weight
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

FEWEST_CHANNELS, FEWEST_FILTERS = 16, 8


def candidates(call: Call[Conv]) -> Iterator[Candidate]:
    """Kernels with other tiles and chunks; none where direct convolution is needed.

    Tiles must not reach behind the halo of the input, nor cut a window of a pool.
    """
    op, machine, y = call.op, call.machine, call.output
    shape = _shape(call)
    if shape is None:
        return

    def outputs() -> list[tuple[int, ...]]:
        ranked = ranked_transforms(shape, machine)
        whole = [tile for tile in ranked if _is_whole(call, tile)]
        return [tile for tile in whole if _reaches(_halo(call, tile), call.x.halo)]

    def modes(output: tuple[int, ...]) -> list[str]:
        ranked = ranked_chunks(shape, output, machine)
        return list(dict.fromkeys(chunks.mode for chunks in ranked))

    def chunks(output: tuple[int, ...], mode: str) -> list[Chunks]:
        ranked = ranked_chunks(shape, output, machine)
        return [chunks for chunks in ranked if chunks.mode == mode]

    def tiles(output: tuple[int, ...], mode: str, chunks: Chunks) -> Sequence[Tile]:
        limit = y.blocks // op.groups
        exact = op.groups > 1 or mode == PANELS
        if words := _words(call, output):
            return words.ranked_tiles(machine, limit, chunks.tiles, exact=exact)
        return ranked_tiles(machine, limit, chunks.tiles, exact=exact)

    for output, mode, part, tile in by_rank(outputs, modes, chunks, tiles):
        size = "x".join(map(str, output))
        width = Pieces.of(part.tiles, tile.columns).width
        name = f"winograd {size} {mode} {part.tiles} by {tile.blocks}x{width}"
        yield Candidate(name, partial(_kernel, call, op, output, part, tile))


def _best(call: Call[Conv]) -> tuple[int, ...] | None:
    """Outputs of the cheapest tile by axis, or None if direct convolution is cheaper or needed."""
    shape = _shape(call)
    return best_transforms(shape, call.machine) if shape else None


def _prefers(call: Call[Conv]) -> bool:
    """Whether the cheapest tile is cheaper than direct convolution, and consists of windows."""
    tile = _best(call)
    return tile is not None and _is_whole(call, tile)


def _read_halo(call: Call[Conv]) -> Halo:
    """That of the cheapest tile."""
    return _halo(call, _best(call) or ())


FAMILY = Family(candidates, _prefers, _read_halo)


def _shape(call: Call[Conv]) -> Shape | None:
    """A call as the cost model sees it, or None if it needs direct convolution."""
    op, lanes, y, ones = call.op, call.machine.lanes, call.output, (1, 1)
    if call.prologue or not call.machine.winograd or not 1 < lanes == call.x.block == y.block:
        return None
    width, filters = call.x.channels // op.groups, op.filters // op.groups
    fits = len(op.kernel) == 2 and op.stride == ones
    whole_blocks = op.groups == 1 or (width % lanes == 0 and filters % lanes == 0)
    if not (fits and whole_blocks and width >= FEWEST_CHANNELS and filters >= FEWEST_FILTERS):
        return None
    filters = -(-filters // lanes) * lanes
    words = Halves.of(call)
    short = words.instructions / words.size if words else 1.0
    spatial, samples = call.nominal.spatial, y.batch
    return Shape(op.kernel, spatial, width, filters, op.groups, samples, short, op.dilation)


def _words(call: Call[Conv], tile: tuple[int, ...]) -> Halves | None:
    """Those that small tiles are rounded to, where an instruction multiplies such."""
    words = Halves.of(call)
    if words is None or words.instructions >= words.size:
        return None
    return words if is_small(tile, call.op.kernel) else None


def _is_whole(call: Call[Conv], tile: Sequence[int]) -> bool:
    """Whether a tile of outputs consists of whole windows of a pool."""
    windows = zip(tile, call.op.dilation, call.window, strict=True)
    return all(
        window == 1 or (dilation == 1 and m % window == 0) for m, dilation, window in windows
    )


def _halo(call: Call[Conv], tile: Sequence[int]) -> Halo:
    """The zeros that whole tiles need around the operand."""
    axes = map(Axis, tile, call.op.dilation)
    return tuple(
        (before, after + axis.beyond(n))
        for n, axis, (before, after) in zip(call.spatial, axes, call.op.pads, strict=True)
    )


def _reaches(needed: Halo, halo: Halo) -> bool:
    """Whether a halo is as wide as what is needed."""
    return all(a <= b for a, b in zip(chain(*needed), chain(*halo), strict=True))


def _kernel(
    call: Call[Any], op: Conv, output: tuple[int, ...], chunks: Chunks, tile: Tile
) -> Kernel:
    plan = WinogradPlan.of(call, op, output, chunks, tile, _words(call, output))
    weights: dict[str, Weight | Expression] = {
        "weight": plan.packed(call),
        **call.bias(),
        **call.step_weights(),
    }
    kind = WordsCode if plan.words else PanelsCode if plan.is_by_panels else WinogradCode
    return Kernel("winograd", weights, kind(plan).write, plan.scratch)
