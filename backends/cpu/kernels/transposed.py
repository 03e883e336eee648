"""Transposed convolution as ordinary ones, one for each position between two inputs.

Of the outputs at a distance of the stride from one another, all read their inputs in the same way:
output s*q + r of an axis with stride s, kernel k and padding p is the sum over u of the inputs
q + a - u times the weights s*u + b, where r + p = s*a + b (Dumoulin and Visin 2016, section 4).
That is a convolution, with the weights in the opposite order, whose results lie s apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, product
from typing import Any

from cnndsl.backends.cpu.codegen.extents import Number, known, largest, nominal, parts
from cnndsl.backends.cpu.codegen.layout import Halo, Layout, Tensor, Thinned
from cnndsl.backends.cpu.kernels.direct import family as direct
from cnndsl.backends.cpu.kernels.family import Candidate, Family
from cnndsl.backends.cpu.kernels.grouped import family as grouped
from cnndsl.backends.cpu.kernels.kernel import Body, Call, Kernel
from cnndsl.ir.algebra import reshape, take, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv, ConvTranspose


@dataclass(frozen=True)
class Phase:
    """On one axis, outputs number `first`, `first` + stride and so on: `count` of them.

    They are a convolution with the weights number `taps`, `dilation` apart, and `pads` zeros, of
    which there are fewer than none where inputs are left out.
    """

    first: int
    count: Number
    taps: tuple[int, ...]
    dilation: int
    pads: tuple[int, int]


def phases(op: ConvTranspose, spatial: tuple[Number, ...]) -> list[list[Phase]]:
    """Those of each axis, for a result of these sizes; none that no weight reaches."""
    if any(nominal(size) < stride for size, stride in zip(spatial, op.stride, strict=True)):
        spatial = tuple(map(known, spatial))
    axes = zip(spatial, op.kernel, op.stride, op.dilation, op.pads, op.output_pad, strict=True)
    return [
        [
            _phase(first, size, kernel, stride, dilation, pads[0], pads[1] - extra)
            for first in range(stride)
            if not isinstance(size, int) or first < size
        ]
        for size, kernel, stride, dilation, pads, extra in axes
    ]


def _phase(
    first: int, size: Number, kernel: int, stride: int, dilation: int, before: int, after: int
) -> Phase:
    shift, start = divmod(first + before, stride)
    taps = tuple(range(start, kernel, stride))[::-1]
    reach = dilation * (len(taps) - 1)
    count = parts(size - first, stride)
    inputs = (nominal(size) + before + after - dilation * (kernel - 1) - 1) // stride + 1
    pads = reach - shift, nominal(count) - inputs + shift
    return Phase(first, count, taps, dilation, pads)


def _is_fast(call: Call[ConvTranspose]) -> bool:
    """Whether ordinary convolutions compute the result, from the operand as it is."""
    op = call.op
    if call.prologue or call.is_pooled:
        return False
    strided = any(s > 1 and d > 1 for s, d in zip(op.stride, op.dilation, strict=True))
    reached = (phase.taps for axis in phases(op, call.output.spatial) for phase in axis)
    return not strided and all(reached)


def candidates(call: Call[ConvTranspose]) -> Iterator[Candidate]:
    """One kernel that computes a phase after another."""
    if not _is_fast(call):
        return
    op = call.op
    convolutions = []
    for chosen in product(*phases(op, call.output.spatial)):
        part = _convolution(call, op, chosen)
        offers = (family.candidates(part) for family in (grouped.FAMILY, direct.FAMILY))
        found = next(chain.from_iterable(offers), None)
        if found is None:
            return
        convolutions.append((part, found))
    yield Candidate("phases", partial(_kernel, convolutions))


def _read_halo(call: Call[ConvTranspose]) -> Halo:
    """The zeros around the operand that any phase reads."""
    return tuple(
        (max(0, *(p.pads[0] for p in axis)), max(0, *(p.pads[1] for p in axis)))
        for axis in phases(call.op, call.output.spatial)
    )


FAMILY = Family(candidates, _is_fast, _read_halo)


def _convolution(call: Call[Any], op: ConvTranspose, chosen: tuple[Phase, ...]) -> Call[Any]:
    """The outputs of a phase on each axis as a convolution."""
    conv = Conv(
        filters=op.filters,
        kernel=tuple(len(phase.taps) for phase in chosen),
        stride=(1,) * len(chosen),
        pad=tuple(phase.pads for phase in chosen),
        dilation=tuple(phase.dilation for phase in chosen),
        groups=op.groups,
        bias=op.bias,
    )
    weight = _weight(call.weight, op.groups)
    for axis, phase in enumerate(chosen, 2):
        weight = take(weight, axis, phase.taps)

    def thinned(layout: Layout) -> Layout:
        if not layout.rank:
            return layout
        axes = zip(chosen, op.stride, layout.spatial, call.output.spatial, strict=True)
        return Thinned.thin(
            layout,
            [
                (phase.first, step, phase.count) if own == size else (0, 1, 1)
                for phase, step, own, size in axes
            ],
        )

    return replace(
        call.with_core(conv, weight=weight),
        inputs=(call.x, *map(thinned, call.inputs[1:])),
        output=thinned(call.output),
    )


def _weight(weight: Expression, groups: int) -> Expression:
    """[filters, channels/groups, *kernel] of a weight [channels, filters/groups, *kernel]."""
    channels, filters, *kernel = weight.shape
    parts = reshape(weight, (groups, channels // groups, filters, *kernel))
    turned = transpose(parts, (0, 2, 1, *range(3, 3 + len(kernel))))
    return reshape(turned, (groups * filters, channels // groups, *kernel))


def _kernel(convolutions: list[tuple[Call[Any], Candidate]]) -> Kernel:
    kernels = [(part, found.make()) for part, found in convolutions]
    weights = {
        f"phase{number}.{role}": expression
        for number, (_, kernel) in enumerate(kernels)
        for role, expression in kernel.weights.items()
    }

    def write(body: Body) -> None:
        _clear_halo(body)
        for number, (part, kernel) in enumerate(kernels):
            own = body.computing(part)
            own.output = Tensor(body.output.buffer, part.output)
            own.inputs = [
                Tensor(x.buffer, layout) for x, layout in zip(body.inputs, part.inputs, strict=True)
            ]
            own.weights = {role: body.weights[f"phase{number}.{role}"] for role in kernel.weights}
            kernel.write(own)

    return Kernel("phases", weights, write, largest(*(kernel.scratch for _, kernel in kernels)))


def _clear_halo(body: Body) -> None:
    layout = body.output.layout
    if any(map(any, layout.halo)):
        with body.code.parallel(layout.batch, layout.blocks) as (n, block):
            body.output.clear_halo(body.code, n, block)
