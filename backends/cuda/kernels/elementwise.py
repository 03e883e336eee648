"""Element by element, with positions that are picked: identity, subsample, upsample.

Activations, per-channel maps and joins are an identity with an epilogue.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.backends.cuda.kernel import Call, Kernel, elementary
from cnndsl.backends.cuda.windows import three
from cnndsl.ir.operators import Identity, Subsample, Upsample

EACH = (1, 2, 4)
"""Vectors of outputs in a thread to choose from: their operands are read together."""


def _kernel(call: Call, z: str, y: str, x: str) -> Iterator[Kernel]:
    """The operand's number at a position that depends on the output's."""
    core = f"const Place q = {{p.n, p.c, {z}, {y}, {x}}}; fetch<X0>(v, a.x0, q); begin(v, a, q);"
    return elementary("elementwise", call, core, each=EACH)


def identity(call: Call) -> Iterator[Kernel]:
    """y = x, also from one layout to another."""
    return _kernel(call, "p.z", "p.y", "p.x")


def subsample(call: Call) -> Iterator[Kernel]:
    """Every stride-th position."""
    assert isinstance(call.core, Subsample)
    z, y, x = three(call.core.stride, 1)
    return _kernel(call, f"p.z * {z}", f"p.y * {y}", f"p.x * {x}")


def upsample(call: Call) -> Iterator[Kernel]:
    """Every position `factor` times on each axis."""
    assert isinstance(call.core, Upsample)
    z, y, x = three(call.core.factor, 1)
    return _kernel(call, f"p.z / {z}", f"p.y / {y}", f"p.x / {x}")


FAMILIES = {Identity: identity, Subsample: subsample, Upsample: upsample}
