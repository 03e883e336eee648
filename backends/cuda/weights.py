"""Weights in the form in which kernels read them, as expressions."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import Call
from cnndsl.ir.algebra import embed_table, flip, pad
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv


def dense_weight(call: Call) -> Expression:
    """A convolution's weight as a dense [filters, channels/groups, *kernel], not flipped."""
    op = call.core
    assert isinstance(op, Conv)
    weight = call.params["core.weight"]
    if op.table is not None:
        weight = embed_table(weight, op.table, call.x.channels)
    return flip(weight, range(2, len(weight.shape))) if op.flip else weight


def padded_bias(call: Call) -> dict[str, Expression]:
    """The bias [filters] of a core, filled up with zeros to whole blocks, if it has one."""
    bias = call.params.get("core.bias")
    if bias is None:
        return {}
    return {"bias": pad(bias, ((0, call.output.padded - call.output.channels),))}
