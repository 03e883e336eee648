"""Weighted operators as plain loops: what serves where no faster form does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, all_of, div, load, mod
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.codegen.sums import Total
from cnndsl.backends.cpu.codegen.tir import Code
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.backends.native.task import dense_weight, positional_weight
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import (
    Conv,
    ConvTranspose,
    FullyConnected,
    LocalConv,
    RadialBasis,
    TiledConv,
)

Accumulate = Callable[[Body, Place, Expr, Total], None]
"""Adds all products for one output channel at a place to a sum."""


def _weighted(call: Call[Any], weight: Expression, accumulate: Accumulate) -> Kernel:
    """Products summed up, and a bias of [filters] or [filters, *tiles]."""
    weights = {"weight": weight, **call.step_weights()}
    bias = call.core.params.get("bias")
    if bias is not None:
        weights["bias"] = bias

    def write(body: Body) -> None:
        code = body.code
        with body.scalars() as (place, channel):
            total = Total(code, 1)
            accumulate(body, place, channel, total)
            if bias is not None:
                index = flat((channel, *_tile(call, place.position)), bias.shape)
                total.add(load(body.weights["bias"], index))
            body.write(place, total.value)

    return Kernel("plain", weights, write)


def flat(index: Sequence[Expr], shape: Sequence[int]) -> Expr:
    """Index into the numbers of an array; axes after the index's end are left out."""
    result: Expr = 0
    for part, size in zip(index, shape, strict=False):
        result = result * size + part
    return result


def _tile(call: Call[Any], position: Sequence[Expr]) -> tuple[Expr, ...]:
    """Which of its kernels a layer uses at a position."""
    op = call.op
    if isinstance(op, LocalConv):
        return tuple(position)
    return tuple(mod(p, op.period) for p in position) if isinstance(op, TiledConv) else ()


def _add_product(
    body: Body, n: Expr, channel: Expr, position: Sequence[Expr], weight: Expr, total: Total
) -> None:
    """total += x * weight if the position lies in the input."""
    x, code = body.inputs[0], body.code
    sizes = zip(position, x.layout.spatial, strict=True)
    with code.when(all_of([c for p, size in sizes for c in (p >= 0, p < size)])):
        place = Place(
            n, div(channel, x.layout.block), tuple(position), mod(channel, x.layout.block)
        )
        total.add(body.read(place) * load(body.weights["weight"], weight))


def conv(call: Call[Conv]) -> Kernel:
    """Convolution of any kind."""
    op = call.op
    weight = dense_weight(call)
    inner, filters = call.x.channels // op.groups, op.filters // op.groups

    def accumulate(body: Body, place: Place, channel: Expr, total: Total) -> None:
        code = body.code
        first = code.name(div(channel, filters) * inner)
        with code.loop(inner) as c, code.box([range(k) for k in op.kernel]) as offsets:
            position = window(code, place, offsets, op.stride, op.dilation, op.pads)
            index = flat((channel, c, *offsets), weight.shape)
            _add_product(body, place.n, code.name(first + c), position, index, total)

    return _weighted(call, weight, accumulate)


def window(
    code: Code,
    place: Place,
    offsets: Sequence[Expr],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[tuple[int, int]],
) -> list[Expr]:
    """The input position that an offset in the kernel meets."""
    axes = zip(place.position, offsets, stride, dilation, pads, strict=True)
    return [code.name(i * s + o * d - before) for i, o, s, d, (before, _) in axes]


def local_conv(call: Call[LocalConv | TiledConv]) -> Kernel:
    """Locally connected and tiled layers: a kernel for every position, or for every few."""
    op = call.op
    weight = positional_weight(call)
    ones = (1,) * len(op.kernel)
    groups = op.groups if isinstance(op, LocalConv) else 1
    inner, filters = call.x.channels // groups, op.filters // groups

    def accumulate(body: Body, place: Place, channel: Expr, total: Total) -> None:
        code = body.code
        first = code.name(div(channel, filters) * inner) if groups > 1 else 0
        with code.loop(inner) as c, code.box([range(k) for k in op.kernel]) as offsets:
            position = window(code, place, offsets, op.stride, ones, op.pads)
            tile = _tile(call, place.position)
            index = flat((channel, *tile, c, *offsets), weight.shape)
            _add_product(body, place.n, code.name(first + c), position, index, total)

    return _weighted(call, weight, accumulate)


def conv_transpose(call: Call[ConvTranspose]) -> Kernel:
    """Every output gathers the input positions whose kernels reach it."""
    op = call.op
    weight = call.weight
    inner, filters = call.x.channels // op.groups, op.filters // op.groups

    def accumulate(body: Body, place: Place, channel: Expr, total: Total) -> None:
        code = body.code
        first = code.name(div(channel, filters) * inner)
        with code.box([range(k) for k in op.kernel]) as offsets:
            axes = zip(place.position, offsets, op.dilation, op.pads, strict=True)
            reached = [code.name(i + before - o * d) for i, o, d, (before, _) in axes]
            inside = all_of([r >= 0 for r in reached])
            hit = all_of([mod(r, s) == 0 for r, s in zip(reached, op.stride, strict=True)])
            with code.when(inside), code.when(hit), code.loop(inner) as c:
                position = [div(r, s) for r, s in zip(reached, op.stride, strict=True)]
                index = flat((first + c, mod(channel, filters), *offsets), weight.shape)
                _add_product(body, place.n, code.name(first + c), position, index, total)

    return _weighted(call, weight, accumulate)


def fully_connected(call: Call[Any]) -> Kernel:
    """W x + b on the input channel by channel."""
    weight = call.weight

    def accumulate(body: Body, place: Place, channel: Expr, total: Total) -> None:
        with elements(body, call) as (c, position, element):
            index = channel * weight.shape[1] + element
            _add_product(body, place.n, c, position, index, total)

    return _weighted(call, weight, accumulate)


def radial_basis(call: Call[Any]) -> Kernel:
    """Squared distances from the centres."""
    centres = call.core.params["centres"]

    def write(body: Body) -> None:
        code, x = body.code, body.inputs[0]
        with body.scalars() as (place, channel):
            total = Total(code, 1)
            with elements(body, call) as (c, position, element):
                centre = load(body.weights["centres"], channel * centres.shape[1] + element)
                distance = code.register(x.channel(place.n, c, position) - centre)
                total.add(distance.value * distance.value)
            body.write(place, total.value)

    return Kernel("plain", {"centres": centres, **call.step_weights()}, write)


@contextmanager
def elements(body: Body, call: Call[Any]) -> Iterator[tuple[Expr, list[Expr], Expr]]:
    """All numbers of a sample: the channel, the position, the number's index."""
    sizes = (call.x.channels, *call.x.spatial)
    with body.code.box([range(size) for size in sizes]) as (c, *position):
        yield c, position, flat((c, *position), sizes)


FAMILIES: Makers = {
    Conv: conv,
    LocalConv: local_conv,
    TiledConv: local_conv,
    ConvTranspose: conv_transpose,
    FullyConnected: fully_connected,
    RadialBasis: radial_basis,
}
