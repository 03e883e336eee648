"""Functions of single elements, as lines of CUDA text: activations, per-channel maps, joins."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.cuda.layout import Layout
from cnndsl.ir.algebra import pad
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Add,
    Affine,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Max,
    Mul,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Tanh,
)

PLAIN = (HardSigmoid, HardSwish, Relu, Relu6, Sigmoid, Silu, Tanh)
"""Operators whose function of device/steps.cuh has their name and takes the value alone."""
JOINS = (Add, Max, Mul)
PARAMETERS = {Affine: ("weight", "bias"), PRelu: ("weight",)}


def is_step(op: Operator) -> bool:
    """Whether `step_text` can compute an operator."""
    return isinstance(op, (*PLAIN, *JOINS, Affine, PRelu, LeakyRelu))


def step_weights(
    op: Operator, label: str, params: Mapping[str, Expression], layout: Layout
) -> dict[str, Expression]:
    """The parameters of a step, [channels], filled up with zeros to whole blocks."""
    roles = [f"{label}.{role}" for role in PARAMETERS.get(type(op), ())]
    return {role: pad(params[role], ((0, layout.padded - layout.channels),)) for role in roles}


def step_text(op: Operator, label: str, operand: str | None) -> str:
    """A statement that applies a step to `v`; `operand` names the further one of a join."""
    if isinstance(op, JOINS):
        return (
            f"{{ float w[V]; fetch<{operand}>(w, a.{argument(operand or '')}, p); "
            f"{op.name}(v, w); }}"
        )
    if isinstance(op, LeakyRelu):
        return f"leaky_relu(v, {number(op.slope)});"
    weights = "".join(
        f", a.{argument(f'{label}.{role}')} + p.c" for role in PARAMETERS.get(type(op), ())
    )
    return f"{op.name}(v{weights});"


def argument(name: str) -> str:
    """The name of an operand or a weight among the arguments of a kernel."""
    return name.replace(".", "_").replace("X", "x")


def number(value: float) -> str:
    """A float of the CUDA text."""
    return f"{float(value)!r}f"
