"""Functions of single elements, as lines of CUDA text: their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

from cnndsl.ir.formula import Formula
from cnndsl.ir.operator import Operator

FUNCTIONS = {
    "add": "({} + {})",
    "subtract": "({} - {})",
    "multiply": "({} * {})",
    "divide": "({} / {})",
    "negative": "(-{})",
    "absolute": "fabsf({})",
    "maximum": "maximum({}, {})",
    "minimum": "minimum({}, {})",
    "exp": "expf({})",
    "log": "logf({})",
    "sqrt": "sqrtf({})",
    "power": "powf({}, {})",
    "tanh": "tanhf({})",
    "erf": "erff({})",
    "select": "({} >= {} ? {} : {})",
}
"""The functions of formulas."""


def step_text(op: Operator, label: str, operand: str) -> str:
    """A statement that applies a step to `v`; `operand` names the further one of a join."""
    formula = op.formula
    assert formula
    loads = [
        f"float {role}[V]; load({role}, a.{argument(f'{label}.{role}')} + p.c);"
        for role in formula.roles()
    ]
    if op.operands is None:
        loads.append(f"float other[V]; fetch<{operand}>(other, a.{argument(operand)}, p);")
    text = formula_text(formula, _leaf)
    return f"{{ {' '.join(loads)}\n#pragma unroll\n    EACH v[i] = {text}; }}"


def formula_text(formula: Formula, leaf: Callable[[Formula], str]) -> str:
    """A formula as a CUDA expression."""
    return formula.compute(leaf, lambda part, values: FUNCTIONS[part.function].format(*values))


def _leaf(part: Formula) -> str:
    if part.function == "number":
        return number(float(part.value))
    return {"x": "v[i]", "other": "other[i]"}.get(part.function, f"{part.value}[i]")


def argument(name: str) -> str:
    """The name of an operand or a weight among the arguments of a kernel."""
    return name.replace(".", "_").replace("X", "x")


def number(value: float) -> str:
    """A float of the CUDA text, which may be infinite."""
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{float(value)!r}f"
