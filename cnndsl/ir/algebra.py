"""Constructors of weight expressions: each computes the shape of its result.

The names are those of the functions of `cnndsl.weights.evaluate` that compute them. A number
stands for a constant. All raise ValueError if the shapes do not fit, which is a mistake of the
pass that calls, never of a user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from cnndsl.ir.expressions import Apply, Constant, Expression

Operand: TypeAlias = Expression | float
Shape: TypeAlias = tuple[int, ...]

ZERO = Constant(0.0)
ONE = Constant(1.0)


def constant(values: Any) -> Constant:
    """A constant from a number, nested sequences or an array."""
    return Constant(_tuples(np.asarray(values, dtype=np.float64).tolist()))


def add(a: Operand, b: Operand) -> Expression:
    """a + b, broadcast as numpy does."""
    a, b = _expression(a), _expression(b)
    if ZERO in (a, b):
        return b if a == ZERO else a
    return _broadcast("add", a, b)


def subtract(a: Operand, b: Operand) -> Expression:
    """a - b, broadcast as numpy does."""
    a, b = _expression(a), _expression(b)
    return a if b == ZERO else _broadcast("subtract", a, b)


def multiply(a: Operand, b: Operand) -> Expression:
    """a * b, broadcast as numpy does."""
    a, b = _expression(a), _expression(b)
    if ONE in (a, b):
        return b if a == ONE else a
    return _broadcast("multiply", a, b)


def divide(a: Operand, b: Operand) -> Expression:
    """a / b, broadcast as numpy does."""
    a, b = _expression(a), _expression(b)
    return a if b == ONE else _broadcast("divide", a, b)


def sqrt(a: Expression) -> Expression:
    """The square root of each number."""
    return Apply("sqrt", (a,), a.shape)


def maximum(a: Operand, b: Operand) -> Expression:
    """The larger of both, broadcast as numpy does."""
    return _broadcast("maximum", _expression(a), _expression(b))


def largest_size(a: Expression, axes: Sequence[int]) -> Expression:
    """The largest absolute value along the given axes, which vanish."""
    axes = tuple(sorted(axes))
    _check_axes(a, axes)
    shape = tuple(n for axis, n in enumerate(a.shape) if axis not in axes)
    return _apply("largest_size", (a,), shape, axes=axes)


def rounded(a: Expression, limit: int) -> Expression:
    """The nearest whole numbers, ties to even, from -limit to limit."""
    return _apply("rounded", (a,), a.shape, limit=limit)


def float32(a: Expression) -> Expression:
    """The nearest numbers that float32 has."""
    return _apply("float32", (a,), a.shape)


def bfloat16(a: Expression) -> Expression:
    """The nearest numbers that bfloat16 has."""
    return _apply("bfloat16", (a,), a.shape)


def significant(a: Expression, bits: int) -> Expression:
    """The nearest numbers of so many significant bits, ties to even."""
    return _apply("significant", (a,), a.shape, bits=bits)


def equaliser(a: Expression, b: Expression) -> Expression:
    """sqrt(a / b), 1 where one of both is not positive; at most 64, at least 1/64."""
    return _broadcast("equaliser", a, b)


def reshape(a: Expression, shape: Sequence[int]) -> Expression:
    """The same numbers, last axis fastest, in another shape."""
    shape = tuple(shape)
    if shape == a.shape:
        return a
    if math.prod(shape) != math.prod(a.shape):
        raise ValueError(f"cannot reshape {a.shape} to {shape}")
    return _apply("reshape", (a,), shape, shape=shape)


def broadcast(a: Expression, shape: Sequence[int]) -> Expression:
    """`a` repeated along axes of length 1, and along new ones in front, to fill a shape."""
    shape = tuple(shape)
    if np.broadcast_shapes(a.shape, shape) != shape:
        raise ValueError(f"cannot broadcast {a.shape} to {shape}")
    return a if shape == a.shape else _apply("broadcast", (a,), shape, shape=shape)


def along(vector: Expression, axis: int, rank: int) -> Expression:
    """A vector [n] as [1, ..., n, ..., 1] of `rank` axes, so that it broadcasts along `axis`."""
    if len(vector.shape) != 1 or not 0 <= axis < rank:
        raise ValueError(f"cannot lay {vector.shape} along axis {axis} of {rank}")
    return reshape(vector, (1,) * axis + vector.shape + (1,) * (rank - axis - 1))


def transpose(a: Expression, axes: Sequence[int]) -> Expression:
    """Axis i of the result is axis axes[i] of `a`."""
    axes = tuple(axes)
    if sorted(axes) != list(range(len(a.shape))):
        raise ValueError(f"{axes} is no order of the axes of {a.shape}")
    if axes == tuple(sorted(axes)):
        return a
    return _apply("transpose", (a,), tuple(a.shape[axis] for axis in axes), axes=axes)


def flip(a: Expression, axes: Sequence[int]) -> Expression:
    """`a` with the order of the given axes reversed."""
    axes = tuple(sorted(axes))
    _check_axes(a, axes)
    return _apply("flip", (a,), a.shape, axes=axes) if axes else a


def slice_axis(a: Expression, axis: int, start: int, stop: int) -> Expression:
    """Positions start to stop - 1 of one axis."""
    _check_axes(a, (axis,))
    if not 0 <= start <= stop <= a.shape[axis]:
        raise ValueError(f"axis {axis} of {a.shape} has no range {start}:{stop}")
    if stop - start == a.shape[axis]:
        return a
    if isinstance(a, Apply) and a.function == "slice_axis":
        outer = dict(a.settings)
        if outer["axis"] == axis:
            begin = outer["start"]
            return slice_axis(a.arguments[0], axis, begin + start, begin + stop)
    shape = _with_axis(a.shape, axis, stop - start)
    return _apply("slice_axis", (a,), shape, axis=axis, start=start, stop=stop)


def concat(parts: Sequence[Expression], axis: int) -> Expression:
    """The parts one after another along one axis."""
    first = parts[0]
    _check_axes(first, (axis,))
    if len({_with_axis(part.shape, axis, 0) for part in parts}) > 1:
        raise ValueError(f"cannot concatenate {[part.shape for part in parts]} on axis {axis}")
    if len(parts) == 1:
        return first
    shape = _with_axis(first.shape, axis, sum(part.shape[axis] for part in parts))
    return _apply("concat", tuple(parts), shape, axis=axis)


def pad(a: Expression, pads: Sequence[tuple[int, int]]) -> Expression:
    """Zeros (before, after) on every axis."""
    pads = tuple(pads)
    if len(pads) != len(a.shape) or any(count < 0 for pair in pads for count in pair):
        raise ValueError(f"cannot pad {a.shape} by {pads}")
    shape = tuple(n + sum(pair) for n, pair in zip(a.shape, pads, strict=True))
    return a if shape == a.shape else _apply("pad", (a,), shape, pads=pads)


def take(a: Expression, axis: int, indices: Sequence[int]) -> Expression:
    """Position i of `axis` in the result is position indices[i] of `a`."""
    _check_axes(a, (axis,))
    indices = tuple(indices)
    if any(not 0 <= index < a.shape[axis] for index in indices):
        raise ValueError(f"an index is outside axis {axis} of {a.shape}")
    shape = _with_axis(a.shape, axis, len(indices))
    return _apply("take", (a,), shape, axis=axis, indices=indices)


def sum_axes(a: Expression, axes: Sequence[int]) -> Expression:
    """The sum over the given axes, which vanish."""
    axes = tuple(sorted(axes))
    _check_axes(a, axes)
    shape = tuple(n for axis, n in enumerate(a.shape) if axis not in axes)
    return _apply("sum_axes", (a,), shape, axes=axes) if axes else a


def einsum(spec: str, *operands: Expression) -> Expression:
    """Einstein's sum; `spec` names every axis by a letter and has `->` and no spaces."""
    inputs, result = spec.split("->")
    labels = inputs.split(",")
    sizes: dict[str, int] = {}
    for letters, operand in zip(labels, operands, strict=True):
        for letter, size in zip(letters, operand.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(f"axis {letter} of {spec} is {sizes[letter]} and {size}")
    shape = tuple(sizes[letter] for letter in result)
    return _apply("einsum", operands, shape, spec=spec)


def embed_table(
    weight: Expression, table: Sequence[Sequence[int]], channels: int, tiles: int = 0
) -> Expression:
    """[connections, *kernel] as a dense [filters, channels, *kernel], zero where not connected.

    table[i] lists the input channels that filter i reads; the connections are in its order
    (LeCun et al. 1998, table I). With `tiles` axes of positions, [connections, *tiles, *kernel]
    becomes [filters, *tiles, channels, *kernel].
    """
    if tiles:
        rank = len(weight.shape)
        last = transpose(weight, (0, *range(1 + tiles, rank), *range(1, 1 + tiles)))
        dense = embed_table(last, table, channels)
        positions = range(rank + 1 - tiles, rank + 1)
        return transpose(dense, (0, *positions, *range(1, rank + 1 - tiles)))
    rows = tuple(tuple(row) for row in table)
    if sum(map(len, rows)) != weight.shape[0] or max(map(max, rows)) >= channels:
        raise ValueError(f"the table does not fit {weight.shape} and {channels} channels")
    shape = (len(rows), channels, *weight.shape[1:])
    return _apply("embed_table", (weight,), shape, table=rows, channels=channels)


def _expression(value: Operand) -> Expression:
    return Constant(float(value)) if isinstance(value, int | float) else value


def _tuples(values: Any) -> Any:
    return tuple(map(_tuples, values)) if isinstance(values, list) else values


def _apply(
    function: str, arguments: tuple[Expression, ...], shape: Shape, /, **settings: Any
) -> Expression:
    return Apply(function, arguments, shape, tuple(sorted(settings.items())))


def _broadcast(function: str, a: Expression, b: Expression) -> Expression:
    return Apply(function, (a, b), np.broadcast_shapes(a.shape, b.shape))


def _with_axis(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _check_axes(a: Expression, axes: Shape) -> None:
    if len(set(axes)) != len(axes) or any(not 0 <= axis < len(a.shape) for axis in axes):
        raise ValueError(f"{a.shape} has no axes {axes}, or they repeat")
