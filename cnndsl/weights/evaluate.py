"""From weight expressions to arrays, in float64, or longer where values are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Constant, Expression, Parameter, parameters_of
from cnndsl.ir.quantisation import nearest_bfloat16, significant

Array = NDArray[Any]


def evaluate(
    expression: Expression, values: Mapping[str, Array], dtype: DTypeLike = np.float64
) -> Array:
    """The array of an expression, computed in float64 or a longer type of the values, as `dtype`.

    `values` maps parameter names to arrays. The result can share memory with them: do not write
    into it. Raises CnnError (E0412) if finite values lead to infinity or NaN, KeyError for a
    parameter without a value, ValueError for a value of another shape.
    """
    return Evaluator(values)(expression, dtype)


class Evaluator:
    """Evaluates several expressions over the same values and computes equal parts once.

    It keeps what it has computed as long as it lives, so make one for each group of expressions
    that share parts, such as the weight and the bias of one node.
    """

    def __init__(self, values: Mapping[str, Array]):
        self._values = values
        self._results: dict[int, tuple[Expression, Array]] = {}
        self._by_value: dict[Hashable, Array] = {}

    def __call__(self, expression: Expression, dtype: DTypeLike = np.float64) -> Array:
        """See `evaluate`."""
        if isinstance(expression, Parameter):
            return self._value(expression).astype(dtype, copy=False)
        with np.errstate(all="ignore"):
            result = self._compute(expression).astype(dtype, copy=False)
        if not np.isfinite(result).all():
            names = ", ".join(parameter.name for parameter in parameters_of(expression))
            raise CnnError.of(
                "E0412",
                f"what is computed from {names or 'a constant'} is not finite",
                hint="is a variance negative, or a weight too large?",
            )
        return result

    def _compute(self, root: Expression) -> Array:
        """Depth first with an own stack: expressions may be deeper than Python's recursion."""
        pending = [root]
        while pending:
            item = pending.pop()
            if id(item) in self._results:
                continue
            waiting = [a for a in item.arguments if id(a) not in self._results]
            if waiting:
                pending += [item, *waiting]
            else:
                self._results[id(item)] = (item, self._apply(item))
        return self._results[id(root)][1]

    def _apply(self, item: Expression) -> Array:
        """The array of an expression whose arguments have theirs; equal ones get the same array.

        Equality of deep expressions is decided by the identity of their arguments' arrays.
        """
        if isinstance(item, Parameter | Constant):
            key: Hashable = item
        else:
            arrays = [self._results[id(argument)][1] for argument in item.arguments]
            key = (item.function, tuple(map(id, arrays)), item.settings)
        if key not in self._by_value:
            if isinstance(item, Parameter):
                result = self._value(item)
            elif isinstance(item, Constant):
                result = np.array(item.values, dtype=np.float64)
            else:
                result = np.asarray(FUNCTIONS[item.function](*arrays, **dict(item.settings)))
            if result.shape != item.shape:
                raise ValueError(f"{item} has shape {item.shape}, but its array {result.shape}")
            self._by_value[key] = result
        return self._by_value[key]

    def _value(self, parameter: Parameter) -> Array:
        value = self._values[parameter.name]
        if value.shape != parameter.shape:
            raise ValueError(
                f"{parameter.name} has shape {parameter.shape}, its value {value.shape}"
            )
        return value


def _slice_axis(a: Array, axis: int, start: int, stop: int) -> Array:
    return a[(slice(None),) * axis + (slice(start, stop),)]


def _embed_table(weight: Array, table: Sequence[Sequence[int]], channels: int) -> Array:
    filters = np.repeat(np.arange(len(table)), [len(row) for row in table])
    dense = np.zeros((len(table), channels, *weight.shape[1:]), weight.dtype)
    dense[filters, np.concatenate([np.array(row) for row in table])] = weight
    return dense


def _wide(function: Callable[..., Array]) -> Callable[..., Array]:
    """The function of its operands in float64, or a longer type of theirs."""

    def computed(*operands: Array, **settings: Any) -> Array:
        wide = [a.astype(np.promote_types(a.dtype, np.float64), copy=False) for a in operands]
        return function(*wide, **settings)

    return computed


def _equaliser(a: Array, b: Array) -> Array:
    usable = (a > 0) & (b > 0)
    ratio = np.divide(a, b, out=np.ones(np.broadcast_shapes(a.shape, b.shape)), where=usable)
    return np.clip(np.sqrt(ratio), 1 / 64, 64)


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": _wide(np.add),
    "subtract": _wide(np.subtract),
    "multiply": _wide(np.multiply),
    "divide": _wide(np.divide),
    "sqrt": _wide(np.sqrt),
    "maximum": _wide(np.maximum),
    "largest_size": _wide(lambda a, axes: np.abs(a).max(axes, initial=0)),
    "rounded": _wide(lambda a, limit: np.clip(np.rint(a), -limit, limit)),
    "float32": _wide(lambda a: a.astype(np.float32).astype(np.float64)),
    "bfloat16": _wide(lambda a: nearest_bfloat16(a.astype(np.float32)).astype(np.float64)),
    "significant": _wide(significant),
    "equaliser": _wide(_equaliser),
    "broadcast": np.broadcast_to,
    "reshape": np.reshape,
    "transpose": np.transpose,
    "flip": lambda a, axes: np.flip(a, axes),
    "slice_axis": _slice_axis,
    "concat": lambda *parts, axis: np.concatenate(parts, axis),
    "pad": lambda a, pads: np.pad(a, pads),
    "take": lambda a, axis, indices: np.take(a, np.array(indices, dtype=np.intp), axis),
    "sum_axes": _wide(lambda a, axes: np.add.reduce(a, axes)),
    "einsum": _wide(lambda *operands, spec: np.einsum(spec, *operands, optimize=True)),
    "embed_table": _embed_table,
}
"""What `Apply.function` names; the settings are keyword arguments. See `cnndsl.ir.algebra`.

What only moves numbers leaves them in their type: large weights are not copied to be made longer.
"""
