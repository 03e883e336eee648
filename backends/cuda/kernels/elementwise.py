"""Element by element, with positions that are picked: identity, subsample, upsample.

Activations, per-channel maps and joins are an identity with an epilogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, elementary
from cnndsl.backends.cuda.windows import three
from cnndsl.ir.operators import Identity, Subsample, Upsample

EACH = (1, 2, 4)
"""Vectors of outputs in a thread to choose from: their operands are read together."""


def _kernel(call: Call[Any], z: str, y: str, x: str) -> Iterator[Kernel]:
    """The operand's number at a position that depends on the output's."""
    core = f"const Place q = {{p.n, p.c, {z}, {y}, {x}}}; fetch<X0>(v, a.x0, q); begin(v, a, q);"
    return elementary("elementwise", call, core, each=EACH)


def identity(call: Call[Any]) -> Iterator[Kernel]:
    """y = x, also from one layout to another."""
    return _kernel(call, "p.z", "p.y", "p.x")


def subsample(call: Call[Subsample]) -> Iterator[Kernel]:
    """Every stride-th position."""
    z, y, x = three(call.op.stride, 1)
    return _kernel(call, f"p.z * {z}", f"p.y * {y}", f"p.x * {x}")


def upsample(call: Call[Upsample]) -> Iterator[Kernel]:
    """Every position `factor` times on each axis."""
    z, y, x = three(call.op.factor, 1)
    return _kernel(call, f"p.z / {z}", f"p.y / {y}", f"p.x / {x}")


FAMILIES: Families = {Identity: identity, Subsample: subsample, Upsample: upsample}
