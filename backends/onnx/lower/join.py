"""Joins of several operands."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowering, Lowerings, native
from cnndsl.ir.operators.join import (
    BESIDE,
    Add,
    Average,
    Concat,
    ConcatPositions,
    Divide,
    Join,
    Max,
    Min,
    Mul,
    Subtract,
)


def broadcast(site: Site) -> list[str]:
    """The operands, vectors [C] made [C, 1, ...] where others have positions, axis by axis."""
    rank = site.output_type.rank
    result = []
    for i, (tensor, x) in enumerate(zip(site.inputs, site.part.inputs, strict=True)):
        for axis in range(2 + x.rank, 2 + rank):
            tensor = site.step(f"operand{i}_axis{axis}", "Unsqueeze", tensor, axes=[axis])
        result.append(tensor)
    return result


def _add(site: Site, op: Add) -> None:
    operands = broadcast(site)
    site.emit("Add" if len(operands) == 2 else "Sum", *operands)


def _of_all(kind: str) -> Lowering:
    """An operator of ONNX that takes any number of operands."""
    return lambda site, op: site.emit(kind, *broadcast(site))


def _in_turn(kind: str, role: str) -> Lowering:
    """An operator of ONNX that takes two operands: the result so far and the next one."""

    def lower(site: Site, op: Join) -> None:
        value, *others, last = broadcast(site)
        for i, operand in enumerate(others):
            value = site.step(f"{role}{i}", kind, value, operand)
        site.emit(kind, value, last)

    return lower


def _beside(site: Site, op: ConcatPositions) -> None:
    site.emit("Concat", *site.inputs, axis=2 + op.axis(site.output_type.rank))


LOWERINGS: Lowerings = {
    Add: _add,
    Subtract: _in_turn("Sub", "difference"),
    Mul: _in_turn("Mul", "product"),
    Divide: _in_turn("Div", "quotient"),
    Max: _of_all("Max"),
    Min: _of_all("Min"),
    Average: _of_all("Mean"),
    **dict.fromkeys(BESIDE, _beside),
    Concat: native("Concat", axis=1),
}
