"""Which Winograd kernels there are for a convolution: other tiles, other chunks of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.layout import Halo
from cnndsl.backends.cpu.kernels.family import Candidate, Family, by_rank
from cnndsl.backends.cpu.kernels.kernel import Call, Kernel
from cnndsl.backends.cpu.kernels.tiles import Pieces, Tile, ranked_tiles
from cnndsl.backends.cpu.kernels.winograd.code import WinogradCode
from cnndsl.backends.cpu.kernels.winograd.cost import (
    PANELS,
    Chunks,
    Shape,
    best_transforms,
    ranked_chunks,
    ranked_transforms,
)
from cnndsl.backends.cpu.kernels.winograd.panels import PanelsCode
from cnndsl.backends.cpu.kernels.winograd.plan import WinogradPlan, is_whole, read_halo, shape_of
from cnndsl.ir.operators import Conv


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
        return [
            tile
            for tile in ranked
            if is_whole(tile, call.window)
            and _reaches(read_halo(op, call.spatial, tile), call.x.halo)
        ]

    def modes(output: tuple[int, ...]) -> list[str]:
        ranked = ranked_chunks(shape, output, machine)
        return list(dict.fromkeys(chunks.mode for chunks in ranked))

    def chunks(output: tuple[int, ...], mode: str) -> list[Chunks]:
        ranked = ranked_chunks(shape, output, machine)
        return [chunks for chunks in ranked if chunks.mode == mode]

    def tiles(output: tuple[int, ...], mode: str, chunks: Chunks) -> Sequence[Tile]:
        limit = y.blocks // op.groups
        exact = op.groups > 1 or mode == PANELS
        return ranked_tiles(machine, limit, chunks.tiles, exact=exact)

    for output, mode, part, tile in by_rank(outputs, modes, chunks, tiles):
        size = "x".join(map(str, output))
        width = Pieces.of(part.tiles, tile.columns).width
        name = f"winograd {size} {mode} {part.tiles} by {tile.blocks}x{width}"
        yield Candidate(name, partial(_kernel, call, op, output, part, tile))


def _prefers(call: Call[Any]) -> bool:
    shape = _shape(call)
    return shape is not None and best_transforms(shape, call.machine) is not None


FAMILY = Family(candidates, _prefers)


def _shape(call: Call[Conv]) -> Shape | None:
    """A call as the cost model sees it, or None if it needs direct convolution."""
    op, lanes, y = call.op, call.machine.lanes, call.output
    if call.prologue or not call.x.block == y.block == lanes or call.x.rank != 2:
        return None
    return shape_of(op, call.x.channels, call.spatial, y.batch, call.machine)


def _reaches(needed: Halo, halo: Halo) -> bool:
    """Whether a halo is as wide as what is needed."""
    return all(
        there >= width
        for sides in zip(needed, halo, strict=True)
        for width, there in zip(*sides, strict=True)
    )


def _kernel(
    call: Call[Any], op: Conv, output: tuple[int, ...], chunks: Chunks, tile: Tile
) -> Kernel:
    plan = WinogradPlan.of(call, op, output, chunks, tile)
    weights = {"weight": plan.packed(call), **call.bias(), **call.step_weights()}
    code = PanelsCode(plan) if plan.is_by_panels else WinogradCode(plan)
    return Kernel("winograd", weights, code.write, plan.scratch)
