"""Fully connected layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.layout import Layout, apart, natural, normal, together
from cnndsl.importers.onnx.operators.common import Read, along_channels, weight_of
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Array, Known, Value
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import Conv, FullyConnected


def gemm(site: Site) -> Value:
    """`fc`; alpha and beta go into the weights."""
    if site.whole("transA"):
        raise Refusal("E0804", "it reads the batch as columns")
    known = site.known(1)
    matrix = site.array(1)
    if matrix.ndim != 2:
        raise damaged(f"its weight has {matrix.ndim} axes")
    rows = matrix if site.whole("transB") else matrix.T
    weights = {"weight": _scaled(known, rows, site.number("alpha", 1.0))}
    if site.has(2) and site.number("beta", 1.0):
        bias = site.array(2)
        if bias.size not in (1, rows.shape[0]) or bias.shape[:-1] not in ((), (1,)):
            raise unsupported(f"its bias is {list(bias.shape)}")
        flat = np.broadcast_to(bias.reshape(-1), rows.shape[:1])
        weights["bias"] = _scaled(site.known(2), flat, site.number("beta", 1.0))
    return fully_connected(site, site.value(0), weights)


def _scaled(known: Known, array: Array, factor: float) -> Weight:
    """Numbers times a factor; by 1 they are still those of the initialiser."""
    if factor == 1:
        return weight_of(known, array)
    return Weight(weight_of(known, array).array * np.float32(factor))


def fully_connected(site: Site, x: Value, weights: dict[str, Weight]) -> Value:
    """`fc` on rows of any order, whose columns the weights follow."""
    if len(x.layout) != 2:
        raise damaged(f"its operand has {len(x.layout)} axes, not 2")
    if len(x.layout[0]) > 1:
        made = along(site, x.moved(apart(x.layout)), 2, weights)
        return made.moved(together(made.layout))
    node = site.element(x)
    given = weights["weight"]
    order = _columns(x.layout, node)
    if order is None or given.array.shape[1] != node.type.elements:
        node = site.plain(x)
    elif not np.array_equal(order, np.arange(len(order))):
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        moved = replace(given, array=given.array[:, inverse], origin=None)
        weights = {**weights, "weight": moved}
    op = FullyConnected(given.array.shape[0], bias="bias" in weights)
    return site.result(site.add(op, node, weights=weights))


def along(site: Site, x: Value, axis: int, weights: dict[str, Weight]) -> Value:
    """A matrix times each column along an axis."""
    x, node = along_channels(site, x, axis)
    kernel = (1,) * node.type.rank
    rows = weights["weight"]
    array = rows.array.reshape(*rows.array.shape, *kernel)
    op = Conv(array.shape[0], kernel, bias="bias" in weights)
    made = site.add(op, node, weights={**weights, "weight": replace(rows, array=array)})
    layout = list(x.layout)
    layout[axis] = normal(natural(made.type.shape)[1])
    return site.result(made).moved(tuple(layout))


def _columns(layout: Layout, node: Node) -> Array | None:
    """For each column of the rows the place of its element in a node; None if some are open."""
    if node.type.is_open or layout[:1] != natural(())[:1]:
        return None
    sizes = [size for size in node.type.shape if isinstance(size, int)]
    steps = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
    order = np.zeros(1, np.int64)
    for factor in layout[1]:
        assert isinstance(factor.size, int)
        digits = np.arange(factor.size) * factor.step * steps[factor.axis]
        order = (order[:, None] + digits).ravel()
    return order if len(order) == node.type.elements else None


OPERATORS: dict[str, Read] = {"Gemm": gemm}
