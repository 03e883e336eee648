"""Depthwise and narrowly grouped convolution: limited by memory, so no matrix products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from cnndsl.backends.cuda.kernel import THREADS, Call, Kernel, flat_launch, nearest
from cnndsl.backends.cuda.windows import window_constants
from cnndsl.backends.native.task import dense_weight
from cnndsl.ir.algebra import pad, reshape, transpose
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv

RUNS = (8, 4, 2, 1)
"""Neighbouring outputs in a thread to choose from."""
USUAL, MOST = 12, 20
"""Vectors of inputs and sums that a thread usually has in registers, and that it can have."""
LONG = 64
"""Products of a sum from which on parts of it are collected."""


def grouped(call: Call[Conv]) -> Iterator[Kernel]:
    """Kernels, none where groups and vectors do not fit: runs first, then sizes of blocks.

    For runs other than the usual one the compiler takes as many registers as it likes: it would
    rather spill some of them than have fewer blocks on a multiprocessor.
    """
    op, block = call.op, call.output.block
    width = call.x.channels // op.groups
    if op.groups == 1 or op.filters != call.x.channels or block % width:
        return
    constants = window_constants(op.kernel, op.stride, op.dilation, op.pads)
    weight = _packed(dense_weight(call), call.output.padded)
    weights = {"weight": weight, **call.bias(), **call.step_weights()}
    depth, height, columns = call.output.sizes
    rows = call.output.batch * depth * height * call.output.blocks
    extent = (constants["KX"] - 1) * constants["DX"] + 1
    long = constants["TAPS"] * width > LONG
    runs = [1] if long else _runs(columns, constants["SX"], extent)
    for run, threads in [(run, THREADS[0]) for run in runs] + [(runs[0], n) for n in THREADS[1:]]:
        launch = flat_launch(rows * -(-columns // run), threads)
        launch = replace(launch, resident=int(run != runs[0]))
        yield Kernel(
            "grouped",
            f"{threads} threads, run {run}",
            "grouped",
            launch,
            weights,
            {**constants, "RUN": run, "WIDTH": width, "LONG": int(long)},
        )


def _runs(columns: int, stride: int, extent: int) -> list[int]:
    """Numbers of outputs for a thread, which holds vectors of as many sums, and of inputs."""
    vectors = {r: r + (r - 1) * stride + extent for r in RUNS if r <= columns}
    usual = max((r for r in vectors if vectors[r] <= USUAL), default=1)
    return nearest(usual, (r for r in vectors if r == 1 or vectors[r] <= MOST))


def _packed(weight: Expression, channels: int) -> Expression:
    """[taps, channels of a group, filters], filled up with zeros to whole vectors."""
    filters, width, *kernel = weight.shape
    flat = reshape(weight, (filters, width, math.prod(kernel)))
    full = pad(flat, ((0, channels - filters), (0, 0), (0, 0)))
    return transpose(full, (2, 1, 0))
