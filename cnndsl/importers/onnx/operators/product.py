"""Products of matrices, of values and constants."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cnndsl.importers.onnx.layout import (
    Axis,
    Factor,
    Layout,
    apart,
    natural,
    normal,
    size_of,
    together,
)
from cnndsl.importers.onnx.operators.common import Read, weight_of
from cnndsl.importers.onnx.operators.dense import along, fully_connected
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Value
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import Concat, MatMul, MatMulTransposed, Slice

MOST_HEADS = 64
"""Products side by side that are made one by one."""


def matmul(site: Site) -> Value:
    """`fc` on rows; on an axis of maps a `conv` of one position; `matmul` of maps, by head."""
    a, b = site.operand(0), site.operand(1)
    if isinstance(a, Value) and isinstance(b, Value):
        return _of_values(site, a, b)
    x, place = (a, 1) if isinstance(a, Value) else (site.value(1), 0)
    matrix = site.array(place)
    while matrix.ndim > 2 and matrix.shape[0] == 1:
        matrix = matrix[0]
    if matrix.ndim != 2 or site.array(place).ndim > len(x.layout):
        raise unsupported(f"its constant operand is {list(site.array(place).shape)}")
    rows = weight_of(site.known(place), matrix.T if place else matrix)
    if place and len(x.layout) == 2:
        return fully_connected(site, x, {"weight": rows})
    axis = len(x.layout) - 1 if place else len(x.layout) - 2
    if axis == 0:
        raise Refusal("E0804", "it adds up samples")
    return along(site, x, axis, {"weight": rows})


def _of_values(site: Site, a: Value, b: Value) -> Value:
    """Matrices that are the last two axes; for each index of the others there is a product."""
    if len(a.layout) != len(b.layout) or len(a.layout) < 3:
        raise unsupported(f"its operands have {len(a.layout)} and {len(b.layout)} axes")
    merged = len(a.layout[0]) > 1 or len(b.layout[0]) > 1
    first, second = (apart(v.layout) for v in (a, b))
    if len(first) != len(second):
        raise unsupported("its operands differ in the axis of the batch")
    if len(first) == 3:
        return _product(site, a, b)
    counts = [_counts(layout) for layout in (first, second)]
    try:
        common = np.broadcast_shapes(*counts)
    except ValueError:
        raise damaged("its operands differ in the axes before the last two") from None
    if math.prod(common) > MOST_HEADS:
        raise unsupported(f"it makes more than {MOST_HEADS} products for each sample")
    pieces = [
        _pieces(site, v, layout, count, common)
        for v, layout, count in zip((a, b), (first, second), counts, strict=True)
    ]
    nodes = [
        site.add(MatMul(), x, y, role=f"head{i}")
        for i, (x, y) in enumerate(zip(*pieces, strict=True))
    ]
    node = site.add(Concat(), *nodes) if len(nodes) > 1 else nodes[0]
    layout = _stacked(common, node)
    return site.result(node).moved(together(layout) if merged else layout)


def _counts(layout: Layout) -> tuple[int, ...]:
    """The sizes of the axes between the batch and the last two."""
    sizes = tuple(map(size_of, layout[1:-2]))
    known = tuple(size for size in sizes if isinstance(size, int))
    if len(known) < len(sizes):
        raise unsupported("it makes an open number of products", "give the inputs known sizes")
    return known


def _pieces(
    site: Site, x: Value, layout: Layout, counts: tuple[int, ...], common: tuple[int, ...]
) -> list[Node]:
    """The matrices of a value one by one, each [rows, columns], repeated to the common counts."""
    rows = normal([factor for axis in layout[1:-1] for factor in axis])
    node = site.builder.arranged(site.element(x), (layout[0], rows, layout[-1]), site.label)
    count = math.prod(counts)
    size = node.type.channels // count
    ranges = [(i * size, (i + 1) * size) for i in range(count)]
    nodes = [site.add(Slice(*r), node, role=f"part{i}") for i, r in enumerate(ranges)]
    places = np.broadcast_to(np.arange(count).reshape(counts), common).ravel()
    return [nodes[i] if count > 1 else node for i in places]


def _stacked(counts: Sequence[int], node: Node) -> Layout:
    """The layout [batch, *counts, rows, columns] of matrices one below the other."""
    batch, _, columns = natural(node.type.shape)
    step = node.type.channels
    axes: list[Axis] = []
    for count in (*counts, node.type.channels // math.prod(counts)):
        step //= count
        axes.append(normal([Factor(0, count, step)]))
    return (batch, *axes, columns)


def _product(site: Site, a: Value, b: Value) -> Value:
    """Of two values with two axes each beside the batch, the first one transposed perhaps."""
    node = site.element(a)
    first, *axes = natural(node.type.shape)
    if a.layout == (first, *reversed(axes)) and len(axes) == 2:
        return site.result(site.add(MatMulTransposed(), node, site.plain(b)))
    return site.result(site.add(MatMul(), site.plain(a), site.plain(b)))


OPERATORS: dict[str, Read] = {"MatMul": matmul}
