"""Bound operators back to calls: the shortest arguments that bind to the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields, replace
from functools import lru_cache
from typing import Any

from cnndsl.ir.attributes import PADDING
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.operators.convolution import Conv, Depthwise
from cnndsl.ir.types import TensorType

MODES = ("valid", "same", "same_upper", "same_lower", "full")


@lru_cache(maxsize=100_000)
def written(op: Operator, inputs: tuple[TensorType, ...]) -> tuple[type[Operator], tuple[Any, ...]]:
    """The operator of the language, and a value for each of its attributes.

    A value is a number, a truth, a word, nested tuples of these, or None where nothing can stand
    for it. Raises ValueError if the language has no such operator.
    """
    if type(op).internal:
        raise ValueError(f"the language has no {op.name}")
    if isinstance(op, Conv) and (short := _depthwise(op, inputs[0])) is not None:
        return Depthwise, _arguments(short, op, inputs)
    return type(op), _arguments(op, op, inputs)


def _depthwise(op: Conv, x: TensorType) -> Depthwise | None:
    channels = x.channels
    if op.groups != channels or channels == 1 or op.flip or op.table or op.weight is not None:
        return None
    multiplier = op.filters // channels
    return Depthwise(op.kernel, multiplier, op.stride, op.pad, op.dilation, op.bias)


def _arguments(op: Operator, bound: Operator, inputs: Sequence[TensorType]) -> tuple[Any, ...]:
    """For each attribute the first form that, with the others as they are, binds to the same."""
    found = []
    for f in fields(op):
        kind, stored = f.metadata["kind"], getattr(op, f.name)
        for value in _forms(stored, default_of(f), kind is PADDING):
            try:
                changes: dict[str, Any] = {f.name: kind.convert(value)}
                if replace(op, **changes).bind(inputs) == bound:
                    found.append(value)
                    break
            except (OperatorError, ValueError):
                continue
        else:
            raise ValueError(f"{f.name}={stored!r} of {op.name} cannot be written")
    return tuple(found)


def _forms(stored: Any, default: Any, padding: bool) -> Iterator[Any]:
    """The ways to write an attribute, from the likeliest."""
    if stored is None:
        yield None
    if default is not None:
        yield default
    if padding and isinstance(stored, tuple):
        sides = {side for pair in stored for side in pair}
        if len(sides) == 1 and sides != {0}:
            yield sides.pop()
        yield from MODES
        if all(before == after for before, after in stored):
            yield tuple(before for before, _ in stored)
    elif isinstance(stored, tuple) and len(set(stored)) == 1:
        yield plain(stored[0])
    yield plain(stored)


def default_of(attribute: Field[Any]) -> Any:
    """The value that an attribute has where none is written; None if there is no such value."""
    default = attribute.default
    if default is MISSING:
        return None
    return plain(default[0] if isinstance(default, tuple) and len(default) == 1 else default)


def plain(value: Any) -> Any:
    """Floats that are whole as whole numbers, in nested tuples too."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
