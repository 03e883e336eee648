"""Weights as kernels of all backends begin with them, before each packs them its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cnndsl.ir.algebra import embed_table, flip
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv


class _Layout(Protocol):
    @property
    def channels(self) -> int: ...


class _Call(Protocol):
    @property
    def core(self) -> Operator: ...

    @property
    def x(self) -> _Layout: ...

    @property
    def params(self) -> Mapping[str, Expression]: ...


def dense_weight(call: _Call) -> Expression:
    """A convolution's weight as a dense [filters, channels/groups, *kernel], not flipped."""
    op = call.core
    assert isinstance(op, Conv)
    weight = call.params["core.weight"]
    if op.table is not None:
        weight = embed_table(weight, op.table, call.x.channels)
    return flip(weight, range(2, len(weight.shape))) if op.flip else weight
