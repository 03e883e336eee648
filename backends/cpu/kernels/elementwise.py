"""Element by element, with positions that are picked: identity, subsample, upsample.

Activations, per-channel maps and joins are an identity with an epilogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, div, shuffled
from cnndsl.backends.cpu.codegen.layout import Place
from cnndsl.backends.cpu.kernels.family import Makers
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.operators import Identity, Subsample, Upsample


def _kernel(call: Call[Any], source: Callable[[int, Expr], Expr], step: int = 1) -> Kernel:
    """y[position] = x[source of the index on each axis]; columns come from `step` apart."""

    def write(body: Body) -> None:
        for place in body.vectors():
            position = tuple(source(axis, index) for axis, index in enumerate(place.position))
            body.write(place, body.read(replace(place, position=position, step=step)))

    def write_between_layouts(body: Body) -> None:
        (x,) = body.inputs
        with body.scalars() as (place, channel):
            body.write(place, x.channel(place.n, channel, place.position))

    same = all(x.block == call.output.block for x in call.inputs)
    return Kernel("elementwise", call.step_weights(), write if same else write_between_layouts)


def identity(call: Call[Any]) -> Kernel:
    """y = x, also from one layout to another."""
    return _kernel(call, lambda axis, index: index)


def subsample(call: Call[Subsample]) -> Kernel:
    """Every stride-th position."""
    stride = call.op.stride
    return _kernel(call, lambda axis, index: index * stride[axis], stride[-1])


def upsample(call: Call[Upsample]) -> Kernel:
    """Every position `factor` times on each axis."""
    factor = call.op.factor
    if call.x.block == call.output.block == 1:
        return Kernel("elementwise", call.step_weights(), _repeat_columns)
    return _kernel(call, lambda axis, index: div(index, factor[axis]))


def _repeat_columns(body: Body) -> None:
    """Upsampling of plain maps: each vector of columns gives `factor` vectors."""
    code, x, y, factor = body.code, body.inputs[0], body.output, body.call.op.factor
    with body.rows(y.layout) as (n, block, outer):
        body.clear_halo(n, block, outer)
        row = [div(index, times) for index, times in zip(outer, factor[:-1], strict=True)]
        for column, width in body.pieces(x.layout.spatial[-1]):
            source = Place(n, block, (*row, column), width=width)
            value = code.register(x.load(source), width).value
            for part in range(factor[-1]):
                first = column * factor[-1] + part * width
                order = [(part * width + lane) // factor[-1] for lane in range(width)]
                repeated = shuffled([value], order) if width > 1 else value
                body.write(replace(source, position=(*outer, first)), repeated)


FAMILIES: Makers = {Identity: identity, Subsample: subsample, Upsample: upsample}
