"""The kernels by AMX: on codes of 8 bits and on bfloat16."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import Expr, load
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.amx.code import TILES, AmxCode, Division, Finish
from cnndsl.backends.cpu.kernels.amx.cost import divisions, pays
from cnndsl.backends.cpu.kernels.amx.shape import Shape, weight_of
from cnndsl.backends.cpu.kernels.codes.linear import Layer, is_linear, padding
from cnndsl.backends.cpu.kernels.codes.words import Products
from cnndsl.backends.cpu.kernels.direct.halves import Halves
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.cpu.kernels.words import Words
from cnndsl.backends.cpu.machine import AMX_BF16, AMX_INT8, AMX_TILE
from cnndsl.backends.native.packing import Weight
from cnndsl.ir.algebra import constant
from cnndsl.ir.expressions import Expression
from cnndsl.ir.types import BFLOAT16, DTYPES, UINT8

INSTRUCTIONS = {AMX_INT8: "tdpbusd", AMX_BF16: "tdpbf16ps"}
"""By the feature of the CPU."""

Weights = Mapping[str, Weight | Expression]


def _coded(call: Call[Any]) -> Shape | None:
    """What is to be computed of a linear layer on codes; None if AMX does not compute it."""
    if not call.machine.multiplies_tiles(AMX_INT8) or not is_linear(call):
        return None
    return Shape.of(Layer(call).plain, Products.vnni(call.machine.lanes))


def _coded_candidates(call: Call[Any]) -> Iterator[Candidate]:
    shape = _coded(call)
    if shape is None:
        return
    layer, words = Layer(call), Products.vnni(call.machine.lanes)

    def finish(body: Body, place: Place, total: Expr) -> None:
        layer.store(body, place, total + layer.bias(body, place.block))

    yield from _candidates(layer.plain, shape, words, AMX_INT8, layer.weights(), finish)


def _short(call: Call[Any]) -> Shape | None:
    """What is to be computed of a linear layer in bfloat16; None if AMX does not compute it.

    A prologue is applied to what is copied, which has no padding then.
    """
    is_short = call.x.dtype == BFLOAT16.name and call.machine.multiplies_tiles(AMX_BF16)
    if not is_short or call.is_pooled:
        return None
    shape = Shape.of(call, Halves.pairs(call.machine.lanes))
    if shape is None or (call.prologue and not _takes_prologue(call, shape)):
        return None
    return shape


def _takes_prologue(call: Call[Any], shape: Shape) -> bool:
    """Whether the prologue leaves positions and blocks where they are, and nothing is padded."""
    moves = call.is_shuffled or call.depthwise or call.subsample
    return not moves and shape.kind == "flat" and not any(shape.before)


def _short_candidates(call: Call[Any]) -> Iterator[Candidate]:
    shape = _short(call)
    if shape is None:
        return

    def finish(body: Body, place: Place, total: Expr) -> None:
        lanes = call.output.block
        value = tirx.reinterpret(f"float32x{lanes}", total)
        if "bias" in body.weights:
            value = value + load(body.weights["bias"], place.block * lanes, lanes)
        body.write(place, value)

    words = Halves.pairs(call.machine.lanes)
    weights = {**call.step_weights(), **call.bias()}
    yield from _candidates(call, shape, words, AMX_BF16, weights, finish)


def _candidates(
    call: Call[Any], shape: Shape, words: Words, feature: str, weights: Weights, finish: Finish
) -> Iterator[Candidate]:
    """Kernels with other divisions."""

    def kernel(division: Division) -> Kernel:
        cores = call.machine.cores
        code = AmxCode(shape, division, INSTRUCTIONS[feature], cores, finish)
        packed = words.packed(weight_of(call), shape.words * words.size, words.lanes)
        own = {"weight": packed, TILES: Weight(constant(code.tiles), UINT8), **weights}
        dtype = DTYPES["int32"].name
        return Kernel("amx", own, code.write, code.scratch, dtype, needs=(AMX_TILE, feature))

    for division in divisions(shape, call):
        name = f"amx {shape.height}x{shape.depth} rows {division.rows} chunks {division.chunks}"
        yield Candidate(name, partial(kernel, division))


def _prefers_coded(call: Call[Any]) -> bool:
    shape = _coded(call)
    return shape is not None and pays(shape, call.machine)


def _prefers_short(call: Call[Any]) -> bool:
    shape = _short(call)
    return shape is not None and pays(shape, call.machine)


CODED = Family(_coded_candidates, _prefers_coded, padding)
SHORT = Family(_short_candidates, _prefers_short)
