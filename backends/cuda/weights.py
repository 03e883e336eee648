"""Weights in the form in which kernels read them, as expressions."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import Call
from cnndsl.ir.algebra import pad
from cnndsl.ir.expressions import Expression


def padded_bias(call: Call) -> dict[str, Expression]:
    """The bias [filters] of a core, filled up with zeros to whole blocks, if it has one."""
    bias = call.params.get("core.bias")
    if bias is None:
        return {}
    return {"bias": pad(bias, ((0, call.output.padded - call.output.channels),))}
