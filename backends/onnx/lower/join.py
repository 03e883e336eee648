"""Joins of several operands."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, native
from cnndsl.ir.operators.join import BESIDE, Add, Average, Concat, ConcatPositions, Max, Mul


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


def _mul(site: Site, op: Mul) -> None:
    product, *others, last = broadcast(site)
    for i, operand in enumerate(others):
        product = site.step(f"product{i}", "Mul", product, operand)
    site.emit("Mul", product, last)


def _max(site: Site, op: Max) -> None:
    site.emit("Max", *broadcast(site))


def _average(site: Site, op: Average) -> None:
    site.emit("Mean", *broadcast(site))


def _beside(site: Site, op: ConcatPositions) -> None:
    site.emit("Concat", *site.inputs, axis=2 + op.axis(site.output_type.rank))


LOWERINGS: Lowerings = {
    Add: _add,
    Mul: _mul,
    Max: _max,
    Average: _average,
    **dict.fromkeys(BESIDE, _beside),
    Concat: native("Concat", axis=1),
}
