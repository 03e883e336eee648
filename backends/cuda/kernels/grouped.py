"""Depthwise and narrowly grouped convolution: limited by memory, so no matrix products."""

from __future__ import annotations

import math

from cnndsl.backends.cuda.kernel import Call, Kernel, Launch
from cnndsl.backends.cuda.weights import dense_weight, padded_bias
from cnndsl.backends.cuda.windows import window_constants
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

VECTORS = 12
"""Vectors of inputs and sums that a thread can keep in registers, about."""
THREADS = 128


def grouped(call: Call) -> Kernel | None:
    """The kernel, or None where groups and vectors do not fit."""
    op, block = call.core, call.output.block
    assert isinstance(op, Conv)
    width = call.x.channels // op.groups
    if op.groups == 1 or op.filters != call.x.channels or block % width:
        return None
    constants = window_constants(op.kernel, op.stride, op.dilation, op.pads)
    run = _run(call.output.sizes[2], constants["SX"], (constants["KX"] - 1) * constants["DX"] + 1)
    runs = -(-call.output.sizes[2] // run)
    count = call.output.batch * call.output.sizes[0] * call.output.sizes[1] * runs
    launch = Launch((-(-count * call.output.blocks // THREADS), 1, 1), THREADS)
    weight = _packed(dense_weight(call), call.output.padded)
    weights = {"weight": weight, **padded_bias(call), **call.weights()}
    return Kernel("grouped", "grouped", launch, weights, {**constants, "RUN": run, "WIDTH": width})


def _run(columns: int, stride: int, extent: int) -> int:
    """Neighbouring outputs that a thread computes: it reads (run-1)*stride + extent vectors."""
    fitting = [r for r in (4, 2) if r + (r - 1) * stride + extent <= VECTORS and r <= columns]
    return fitting[0] if fitting else 1


def _packed(weight: Expression, channels: int) -> Expression:
    """[taps, channels of a group, filters], filled up with zeros to whole vectors."""
    filters, width, *kernel = weight.shape
    flat = reshape(weight, (filters, width, math.prod(kernel)))
    full = pad(flat, ((0, channels - filters), (0, 0), (0, 0)))
    return transpose(full, (2, 1, 0))
