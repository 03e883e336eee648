"""Functions of single elements, on vectors: their formulas in TensorIR."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TypeAlias

from cnndsl.backends.cpu.codegen import tirx
from cnndsl.backends.cpu.codegen.expressions import (
    Expr,
    error_function,
    exponential,
    hyperbolic_tangent,
    larger,
    logarithm,
    smaller,
    vector,
)
from cnndsl.ir.formula import Formula
from cnndsl.ir.operator import Operator

Parameters: TypeAlias = Callable[[str], Expr]
"""The vector of a parameter, by its role, at the place of the value."""


def apply_step(
    op: Operator,
    value: Expr,
    lanes: int,
    label: str = "",
    parameter: Parameters | None = None,
    other: Expr = None,
) -> Expr:
    """The value after one step; `other` is the further operand of a join.

    What chooses among values, rather than to compute one, is left to the kernel.
    """
    if op.formula is None:
        return value

    def leaf(part: Formula) -> Expr:
        if part.function == "parameter":
            assert parameter
            return parameter(f"{label}.{part.value}")
        return {"x": value, "other": other}.get(part.function, part.value)

    return computed(op.formula, lanes, leaf)


def computed(formula: Formula, lanes: int, leaf: Callable[[Formula], Expr]) -> Expr:
    """The value of a formula whose leaves are vectors and Python numbers."""
    functions = _functions(lanes)
    return formula.compute(leaf, lambda part, operands: functions[part.function](*operands))


def _functions(lanes: int) -> dict[str, Callable[..., Expr]]:
    """Those of formulas, on vectors and Python numbers."""

    def lifted(function: Callable[..., Expr]) -> Callable[..., Expr]:
        return lambda *operands: function(*(_vector(x, lanes) for x in operands))

    def with_lanes(function: Callable[..., Expr]) -> Callable[..., Expr]:
        return lambda *operands: function(*operands, lanes)

    return {
        "add": lifted(operator.add),
        "subtract": lifted(operator.sub),
        "multiply": lifted(operator.mul),
        "divide": lifted(operator.truediv),
        "negative": lambda a: vector(0.0, lanes) - a,
        "absolute": tirx.abs,
        "maximum": with_lanes(larger),
        "minimum": with_lanes(smaller),
        "exp": with_lanes(exponential),
        "log": with_lanes(logarithm),
        "sqrt": tirx.sqrt,
        "power": lifted(tirx.pow),
        "tanh": with_lanes(hyperbolic_tangent),
        "erf": with_lanes(error_function),
        "select": lifted(lambda a, b, c, d: tirx.Select(a >= b, c, d)),
    }


def _vector(value: Expr, lanes: int) -> Expr:
    return vector(value, lanes) if isinstance(value, int | float) else value
