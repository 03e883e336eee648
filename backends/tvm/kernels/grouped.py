"""Depthwise and narrowly grouped convolution as a kernel of its own."""

from __future__ import annotations

from cnndsl.backends.tvm.kernel import Body, Call, Kernel
from cnndsl.backends.tvm.kernels.depthwise import Depthwise, packed
from cnndsl.backends.tvm.kernels.plain import conv_weight
from cnndsl.backends.tvm.layout import Place
from cnndsl.ir.algebra import pad
from cnndsl.ir.operators import Conv


def grouped(call: Call) -> Kernel | None:
    """The kernel, or None unless a block of outputs reads the same block of inputs.

    It does if the groups have as many inputs as outputs and divide the vector width.
    """
    op, lanes = call.core, call.machine.lanes
    assert isinstance(op, Conv)
    width = call.x.channels // op.groups
    same_blocks = call.x.block == call.output.block == lanes
    narrow = width == 1 or (width < lanes and lanes % width == 0)
    fits = op.groups > 1 and op.filters == call.x.channels and narrow
    if not fits or not same_blocks or call.prologue:
        return None
    weights = {"weight": packed(conv_weight(call), lanes), **call.weights()}
    if op.bias:
        missing = call.output.blocks * lanes - op.filters
        weights["bias"] = pad(call.params["core.bias"], ((0, missing),))

    def write(body: Body) -> None:
        buffers = body.weights["weight"], body.weights.get("bias")
        convolution = Depthwise(op, width, body.inputs[0], *buffers)
        columns = body.output.layout.spatial[-1]
        with body.rows(body.output.layout) as (n, block, row):
            body.clear_halo(n, block, row)
            outputs = convolution.row(body.code, call.machine, n, block, row, columns)
            for column, total in outputs:
                body.write(Place(n, block, (*row, column)), total.value)

    return Kernel("grouped", weights, write)
