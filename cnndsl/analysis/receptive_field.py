"""Which part of the input a position of a tensor can see.

Along a path of windows l with extent k_l (dilation included), stride s_l and padding p_l before the
first position:

    size    r = 1 + sum_l (k_l - 1) * prod_{i<l} s_i
    stride  S = prod_l s_l
    padding P = sum_l p_l * prod_{i<l} s_i

so that position 0 sees the input positions -P to -P + r - 1, and position n the same moved by
n*S (Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks, Distill
2019). Behind enlarging layers fields differ from one position to the next, and repeat after some.
Where paths join, the field is the smallest interval that holds the fields of all operands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from cnndsl.ir.dims import Dim
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Window
from cnndsl.ir.operators.constant import Fixed

LONGEST = 4096
"""Positions after which fields have to repeat; else each is taken to see what any of them does."""

Number: TypeAlias = int | Fraction


@dataclass(frozen=True)
class Field:
    """The field along one axis.

    `spans` are the first and the last input position that positions 0, 1, ... see; as many
    positions further on, both are `advance` further on.
    """

    spans: tuple[tuple[Number, Number], ...] = ((0, 0),)
    advance: Number = 1

    @property
    def size(self) -> int:
        """The most positions of the input that are seen, those in the padding included."""
        return math.ceil(max(last - first for first, last in self.spans)) + 1

    @property
    def stride(self) -> Fraction:
        """How far the field moves from one position to the next, on average."""
        return Fraction(self.advance) / len(self.spans)

    @property
    def padding(self) -> int:
        """How far the field of position 0 reaches before the input (negative: starts inside)."""
        return math.ceil(-self.spans[0][0])

    def at(self, position: int) -> tuple[Number, Number]:
        """The first and the last input position that a position sees."""
        turns, index = divmod(position, len(self.spans))
        first, last = self.spans[index]
        return first + turns * self.advance, last + turns * self.advance

    def behind(self, window: Window) -> Field:
        """The field of what reads a window of adjacent positions."""
        step, low, high, each = window.step, window.low, window.high, window.each
        if (step, low, high, each) == (1, 0, 0, 1):
            return self
        whole = len(self.spans) * each
        period = whole // math.gcd(whole, step)
        if period > LONGEST:
            return self._bounds_behind(window)
        spans = (
            (self.at((j * step + low) // each)[0], self.at((j * step + high) // each)[1])
            for j in range(period)
        )
        return Field(tuple(spans), period * step // whole * self.advance)

    def _bounds_behind(self, window: Window) -> Field:
        """An equal span for all positions that holds each of theirs."""
        stride, each = self.stride, window.each
        low = min(first - i * stride for i, (first, _) in enumerate(self.spans))
        high = max(last - i * stride for i, (_, last) in enumerate(self.spans))
        span = (low + stride * (window.low - each + 1) / each, high + stride * window.high / each)
        return Field((span,), stride * window.step / each)


Fields: TypeAlias = tuple[Field, ...] | None
"""One field for each spatial axis; None if every position sees the whole input."""


def receptive_fields(graph: Graph) -> dict[str, Fields]:
    """The field of each node by its name. With several inputs, that of the widest path."""
    fields: dict[str, Fields] = {}
    for node in graph.nodes():
        producers = [x for x in graph.producers(node) if not isinstance(x.op, Fixed)]
        operands = [fields[producer.name] for producer in producers]
        fields[node.name] = _behind(graph, node, operands)
    return fields


def _behind(graph: Graph, node: Node, operands: Sequence[Fields]) -> Fields:
    if not operands:
        return (Field(),) * node.type.rank or None
    known = [operand for operand in operands if operand is not None]
    types = graph.input_types(node)
    windows = node.op.windows(types)
    if len(known) < len(operands) or not windows:
        return None
    spatial = max(types, key=lambda x: x.rank).spatial
    joined = map(_union, zip(*known, strict=True), spatial)
    fields = [f and f.behind(window) for f, window in zip(joined, windows, strict=True)]
    found = tuple(field for field in fields if field)
    return found if len(found) == len(fields) else None


def _union(fields: Sequence[Field], size: Dim) -> Field | None:
    """The field that holds all of these at each of so many positions.

    None if they move at different strides over more positions than can be looked at.
    """
    if all(field == fields[0] for field in fields):
        return fields[0]
    stride = max(field.stride for field in fields)
    period = math.lcm(*(len(field.spans) for field in fields))
    if any(field.stride != stride for field in fields):
        if not isinstance(size, int):
            return None
        period = size
    if period > LONGEST:
        return None
    seen = [[field.at(position) for field in fields] for position in range(period)]
    spans = ((min(first for first, _ in s), max(last for _, last in s)) for s in seen)
    advance = stride * period
    return Field(tuple(spans), int(advance) if advance.denominator == 1 else advance)
