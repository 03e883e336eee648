"""Functions of single elements, as lines of CUDA text: activations, per-channel maps, joins."""

from __future__ import annotations

import math

from cnndsl.backends.native.steps import JOINS, parameter_names
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import LeakyRelu


def step_text(op: Operator, label: str, operand: str) -> str:
    """A statement that applies a step to `v`; `operand` names the further one of a join.

    The function of device/steps.cuh has the operator's name.
    """
    if isinstance(op, JOINS):
        return f"{{ float w[V]; fetch<{operand}>(w, a.{argument(operand)}, p); {op.name}(v, w); }}"
    if isinstance(op, LeakyRelu):
        return f"leaky_relu(v, {number(op.slope)});"
    weights = "".join(f", a.{argument(name)} + p.c" for name in parameter_names(op, label))
    return f"{op.name}(v{weights});"


def argument(name: str) -> str:
    """The name of an operand or a weight among the arguments of a kernel."""
    return name.replace(".", "_").replace("X", "x")


def number(value: float) -> str:
    """A float of the CUDA text, which may be infinite."""
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{float(value)!r}f"
