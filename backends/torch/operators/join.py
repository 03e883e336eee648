"""Joins of several operands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cnndsl.backends.torch.code import ANY, ATOM, PRODUCT, SUM, Code, Layer, Operand, joined
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    BESIDE,
    Add,
    Average,
    Concat,
    ConcatPositions,
    Divide,
    Max,
    Min,
    Mul,
    Subtract,
)
from cnndsl.ir.part import Part


def _operand(part: Part[Any], index: int, level: int) -> Code:
    """An operand, a vector with an axis of size 1 for each axis of a map."""
    missing = part.output.rank - part.inputs[index].rank
    if not missing:
        return (Operand(index, level),)
    return (Operand(index, ATOM), "[" + ", ".join([":", ":", *["None"] * missing]) + "]")


def infix(part: Part[Any], *, sign: str, level: int) -> Layer:
    """Operands with a sign between them, from left to right."""
    pieces = list(_operand(part, 0, level))
    for index in range(1, len(part.inputs)):
        pieces += [f" {sign} ", *_operand(part, index, level - 1)]
    return Layer(tuple(pieces), level=level)


def nested(part: Part[Any], *, function: str) -> Layer:
    """A function of two operands, of its result and the next one, and so on."""
    result = _operand(part, 0, ANY)
    for index in range(1, len(part.inputs)):
        result = (f"{function}(", *result, ", ", *_operand(part, index, ANY), ")")
    return Layer(result)


def average(part: Part[Average]) -> Layer:
    """The sum over the number of operands."""
    total = infix(part, sign="+", level=SUM)
    return Layer(("(", *total.result, f") / {len(part.inputs)}"), level=PRODUCT)


def concat(part: Part[Any]) -> Layer:
    """Along the channels, or an axis of positions."""
    op = part.op
    axis = 2 + op.axis(part.inputs[0].rank) if isinstance(op, ConcatPositions) else 1
    operands = joined([Operand(index) for index in range(len(part.inputs))], ", ")
    return Layer(("torch.cat([", *operands, f"], {axis})"))


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    Add: partial(infix, sign="+", level=SUM),
    Subtract: partial(infix, sign="-", level=SUM),
    Mul: partial(infix, sign="*", level=PRODUCT),
    Divide: partial(infix, sign="/", level=PRODUCT),
    Max: partial(nested, function="torch.maximum"),
    Min: partial(nested, function="torch.minimum"),
    Average: average,
    Concat: concat,
    **dict.fromkeys(BESIDE, concat),
}
