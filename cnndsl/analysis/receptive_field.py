"""Which part of the input a position of a tensor can see.

Source: Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks,
Distill (2019). Along a path of windows l with extent k_l (dilation included), stride s_l and
padding p_l before the first position:

    size    r = 1 + sum_l (k_l - 1) * prod_{i<l} s_i
    stride  S = prod_l s_l
    padding P = sum_l p_l * prod_{i<l} s_i

so that position 0 sees the input positions -P to -P + r - 1, and position n the same moved by
n*S. Where paths join, the field is the smallest interval that holds the fields of all operands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.windows import extent


@dataclass(frozen=True)
class Field:
    """The field along one axis: position n sees [start + n*stride, end + n*stride].

    Enlarging layers divide the stride, so the numbers are fractions; a fractional field is
    rounded up to the largest that a position has.
    """

    start: Fraction
    end: Fraction
    stride: Fraction

    @property
    def size(self) -> int:
        """Positions of the input that are seen, those in the padding included."""
        return math.ceil(self.end - self.start) + 1

    @property
    def padding(self) -> int:
        """How far the field of position 0 reaches before the input (negative: starts inside)."""
        return math.ceil(-self.start)

    def window(self, kernel: int, stride: Fraction, before: Fraction) -> Field:
        """The field behind a window of `kernel` adjacent positions."""
        start = self.start - before * self.stride
        end = self.end + (kernel - 1 - before) * self.stride
        return Field(start, end, self.stride * stride)


Fields: TypeAlias = tuple[Field, ...] | None
"""One field for each spatial axis; None if every position sees the whole input."""

POINT = Field(Fraction(0), Fraction(0), Fraction(1))


def receptive_fields(graph: Graph) -> dict[str, Fields]:
    """The field of each node by its name. With several inputs, that of the widest path."""
    fields: dict[str, Fields] = {}
    for node in graph.nodes():
        operands = [fields[producer.name] for producer in graph.producers(node)]
        fields[node.name] = _behind(graph, node, operands)
    return fields


def _behind(graph: Graph, node: Node, operands: list[Fields]) -> Fields:
    if not operands:
        return (POINT,) * node.type.rank or None
    known = [operand for operand in operands if operand is not None]
    if len(known) < len(operands) or node.type.rank == 0:
        return None
    joined = [_union(axis) for axis in zip(*known, strict=True)]
    steps = _steps(graph, node)
    return tuple(field.window(*step) for field, step in zip(joined, steps, strict=True))


def _union(fields: tuple[Field, ...]) -> Field:
    return Field(
        min(field.start for field in fields),
        max(field.end for field in fields),
        max(field.stride for field in fields),
    )


def _steps(graph: Graph, node: Node) -> Iterator[tuple[int, Fraction, Fraction]]:
    """Kernel, stride and padding before for each axis; operators without windows see a point."""
    op, rank = node.op, node.type.rank
    dilation = getattr(op, "dilation", (1,) * rank)
    if op.name == "conv_transpose":
        windows = zip(op.kernel, op.stride, dilation, op.pads, strict=True)  # type: ignore[attr-defined]
        for k, s, r, (before, _) in windows:
            seen = (extent(k, r) - 1) // s + 1
            yield seen, Fraction(1, s), Fraction(seen - 1 - before // s)
    elif hasattr(op, "pads"):
        windows = zip(op.kernel, op.stride, dilation, op.pads, strict=True)  # type: ignore[attr-defined]
        for k, s, r, (before, _) in windows:
            yield extent(k, r), Fraction(s), Fraction(before)
    elif op.name.startswith("adaptive"):
        (x,) = graph.input_types(node)
        for n, m in zip(x.spatial, node.type.spatial, strict=True):
            assert isinstance(n, int)
            assert isinstance(m, int)
            largest = max(-(-(i + 1) * n // m) - i * n // m for i in range(m))
            yield largest, Fraction(n, m), Fraction(0)
    elif op.name == "subsample":
        yield from ((1, Fraction(s), Fraction(0)) for s in op.stride)  # type: ignore[attr-defined]
    elif op.name == "upsample":
        yield from ((1, Fraction(1, s), Fraction(0)) for s in op.factor)  # type: ignore[attr-defined]
    else:
        yield from ((1, Fraction(1), Fraction(0)) for _ in range(rank))
