"""How each operator of ONNX is read: one file for each family."""

from __future__ import annotations

from cnndsl.importers.onnx.operators import (
    activation,
    codes,
    convolution,
    dense,
    join,
    local,
    normalisation,
    padding,
    pooling,
    product,
    refused,
    repeat,
    shape,
)
from cnndsl.importers.onnx.operators.common import Read
from cnndsl.importers.onnx.step import OWN, STANDARD, Step

REFUSED = refused.OPERATORS
"""Operators that are refused, each with its reason."""

FAMILIES = {
    "Convolutions": convolution.OPERATORS,
    "Fully connected layers": dense.OPERATORS | product.OPERATORS,
    "Pooling and reductions": pooling.OPERATORS,
    "Normalisation": normalisation.OPERATORS,
    "Functions of single elements": activation.OPERATORS,
    "Joins": join.OPERATORS,
    "Codes": codes.OPERATORS,
    "Shapes and positions": shape.OPERATORS | repeat.OPERATORS | padding.OPERATORS,
}

OPERATORS: dict[str, Read] = {
    name: read for family in FAMILIES.values() for name, read in family.items()
} | REFUSED
"""Every operator that is read, and those that are refused with a reason."""


def reader_of(step: Step) -> Read | None:
    """What reads a node; None for an operator that is not known."""
    if step.domain == OWN:
        return (normalisation.SPELT_OUT | local.SPELT_OUT).get(step.kind)
    return OPERATORS.get(step.kind) if step.domain in STANDARD else None
