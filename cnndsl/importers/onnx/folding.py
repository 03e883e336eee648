"""What a model computes without its inputs: shapes, indices, and weights out of weights.

Whole numbers may be open sizes, in arrays of objects, so that what a model makes of the shape of
its input, with a batch of any size, is known in the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnndsl.importers.onnx.folds import FOLDS, check_size
from cnndsl.importers.onnx.layout import BATCH
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Array, Known, Value
from cnndsl.ir.dims import Dim, OpenDim

SYMBOLIC = 2**10
"""Sizes in an array of them."""


def folded(site: Site) -> list[Known] | None:
    """The results of a node that does not depend on the inputs' numbers, None if it does."""
    if site.step.kind in ("Shape", "Size") and site.is_standard:
        return [Known(settled(_shape(site)))]
    given = [operand for operand in site.operands if operand is not None]
    if any(isinstance(operand, Value) for operand in given):
        return None
    fold = FOLDS.get(site.step.kind) if site.is_standard else None
    if fold is None:
        raise Refusal("E0802", "constants are not computed by this operator")
    arrays = [operand.array for operand in given if isinstance(operand, Known)]
    if site.step.kind == "Expand" and arrays[-1].dtype == np.object_:
        return None
    _check_broadcast(site, arrays)
    try:
        with np.errstate(all="ignore"):
            made = fold(site, arrays)
    except (ValueError, TypeError, IndexError, OverflowError, ArithmeticError) as error:
        raise damaged(f"its constant operands do not fit: {str(error)[:80]}") from None
    origin = steps = None
    if site.step.kind in MOVERS and given and isinstance(given[0], Known):
        origin, steps = given[0].origin, given[0].steps
    elif site.step.kind == "DequantizeLinear":
        steps = arrays[1].ravel()
    results = made if isinstance(made, list) else [made]
    return [Known(settled(np.asarray(array)), origin, steps) for array in results]


def settled(array: Array) -> Array:
    """Whole numbers as such if none is an open size."""
    if array.dtype != np.object_:
        return array
    if array.size > SYMBOLIC:
        raise unsupported("an array of open sizes is large")
    if any(isinstance(item, OpenDim) for item in array.ravel()):
        return array
    return array.astype(np.int64) if all(map(_is_whole, array.ravel())) else array.astype(float)


def _is_whole(item: Any) -> bool:
    return isinstance(item, int | np.integer)


def symbolic(sizes: Sequence[Dim]) -> Array:
    """Sizes as an array of objects."""
    array = np.empty(len(sizes), np.object_)
    array[:] = list(sizes)
    return array


def _shape(site: Site) -> Array:
    sizes = site.operand(0).shape
    if site.step.kind == "Size":
        known = [size for size in sizes if isinstance(size, int)]
        if len(known) < len(sizes):
            if sizes.count(BATCH) == len(sizes) - len(known) == 1:
                return symbolic([BATCH * math.prod(known)]).reshape(())
            raise unsupported("the number of elements of a tensor of open size")
        return np.asarray(math.prod(known), np.int64)
    rank = len(sizes)
    start, end = site.whole("start", 0), site.whole("end", rank)
    return symbolic(sizes[slice(start, end)])


def _check_broadcast(site: Site, arrays: Sequence[Array]) -> None:
    """Raise Refusal if operands of broadcasting operators make an array that is too large."""
    if site.step.kind in BROADCASTING:
        try:
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
        except ValueError:
            raise damaged("its operands do not fit each other") from None
        check_size(shape)


def is_folded(kind: str) -> bool:
    """Whether an operator of ONNX is computed where its operands are known."""
    return kind in FOLDS or kind in ("Shape", "Size")


MOVERS = ("Identity", "Dropout", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose", "Cast")
"""Operators behind which numbers are still those of their initialiser."""

BROADCASTING = (
    *("Div", "Add", "Sub", "Mul", "Pow", "Mod", "Max", "Min", "Equal", "Greater", "Less"),
    *("And", "Or", "Where", "GreaterOrEqual", "LessOrEqual"),
)
