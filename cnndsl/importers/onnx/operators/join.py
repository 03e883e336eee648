"""Joins of values, and of a value with constants."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from cnndsl.importers.onnx.builder import JOINS, Weight
from cnndsl.importers.onnx.functions import LARGEST, X, made
from cnndsl.importers.onnx.layout import BATCH_FACTOR, apart, normal, together
from cnndsl.importers.onnx.operators.activation import applied
from cnndsl.importers.onnx.operators.common import Read, channels_of, weight_of
from cnndsl.importers.onnx.operators.repeat import parameter, repeated
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.values import Array, Known, Tensor, Value
from cnndsl.ir.dims import Dim
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    BESIDE,
    Affine,
    Average,
    Concat,
    Conv,
    FullyConnected,
    GroupNorm,
    Input,
    InstanceNorm,
    LayerNorm,
    RmsNorm,
    Scale,
)


def _binary(name: str, describe: str) -> Read:
    def read(site: Site) -> Tensor:
        operands = [site.operand(place) for place in range(len(site.step.inputs))]
        result = operands[0]
        for other in operands[1:]:
            result = _joined(site, name, result, other)
        return result

    read.__doc__ = describe
    return read


def _joined(site: Site, name: str, a: Tensor, b: Tensor) -> Value:
    if isinstance(a, Value) and isinstance(b, Value):
        return _of_values(site, name, [a, b])
    value, known, turned = (a, b, False) if isinstance(a, Value) else (b, a, True)
    assert isinstance(value, Value)
    assert isinstance(known, Known)
    if known.is_symbolic:
        raise unsupported("an operand depends on an open size", "give the inputs known sizes")
    if known.array.size == 1 and known.array.ndim <= len(value.layout):
        number = float(known.array.ravel()[0])
        return applied(
            site, value, lambda x: made(name, number, x) if turned else made(name, x, number)
        )
    return _with_channels(site, name, value, known, turned)


def _of_values(site: Site, name: str, values: Sequence[Value]) -> Value:
    """Functions of one value are one function; anything else is a join."""
    if any(v.integer for v in values):
        raise unsupported("an operand holds whole numbers")
    first, *others = values
    alike = all((v.node, v.layout) == (first.node, first.layout) for v in values)
    if alike and sum(v.function.size for v in values) <= LARGEST:
        function = first.function
        for other in others:
            function = made(name, function, other.function)
        return replace(first, function=function, label=site.label)
    return joined(site, JOINS[name](), values)


def joined(site: Site, op: Operator, values: Sequence[Value]) -> Value:
    """A join of the elements of values of one layout, of vectors and maps, or as they lie."""
    values = _repeating(site, values)
    rank = max(len(v.layout) for v in values)
    layouts = {v.layout for v in values}
    nodes = [site.element(v) for v in values]
    widest = max(zip(values, nodes, strict=True), key=lambda pair: pair[1].type.rank)
    if len(layouts) == 1 and len({node.type for node in nodes}) == 1:
        return site.result(site.add(op, *nodes)).moved(values[0].layout)
    if len({len(v.layout) for v in values}) == 1 and all(
        (node.type == widest[1].type and v.layout == widest[0].layout)
        or _is_factor(site, v, node, widest[0], widest[1])
        for v, node in zip(values, nodes, strict=True)
    ):
        return site.result(site.add(op, *nodes)).moved(widest[0].layout)
    if any(len(v.layout) < rank for v in values):
        raise unsupported("its operands differ in their number of axes")
    if all(len(v.layout[0]) > 1 for v in values):
        made = joined(site, op, [v.moved(apart(v.layout)) for v in values])
        return made.moved(together(made.layout))
    return site.result(site.add(op, *(site.plain(v) for v in values)))


def _repeating(site: Site, values: Sequence[Value]) -> list[Value]:
    """The values as a join takes them, which repeats all but those of the whole shape itself."""
    if len({len(v.layout) for v in values}) > 1:
        return list(values)
    whole = [_longest(sizes) for sizes in zip(*(v.shape for v in values), strict=True)]
    sources = [_source(site, v) for v in values]
    if all(list(source.shape) != whole for source in sources):
        sources[0] = repeated(site, values[0], whole[1:])
    return sources


def _source(site: Site, value: Value) -> Value:
    """What a value repeats, if that is all that it does."""
    source = site.builder.repeated.get(value.node)
    is_all = value.function == X and value == site.result(site.element(value)).labelled(value.label)
    return source if source and is_all else value


def _longest(sizes: Sequence[Dim]) -> Dim:
    """The size of an axis of a join. Raises Refusal."""
    longer = {size for size in sizes if size != 1}
    if len(longer) > 1:
        raise damaged("its operands do not fit each other")
    return longer.pop() if longer else 1


def _is_factor(site: Site, value: Value, node: Node, wide: Value, map_: Node) -> bool:
    """Whether a value is a vector with a number for each channel of a map."""
    if node.type.rank or node.type.channels != map_.type.channels:
        return False
    places = [i for i, axis in enumerate(wide.layout) if axis == channels_of(map_)]
    expected = tuple(
        (BATCH_FACTOR,) if i == 0 else channels_of(node) if i in places[:1] else ()
        for i in range(len(wide.layout))
    )
    return value.layout == expected


def _with_channels(site: Site, name: str, x: Value, known: Known, turned: bool) -> Value:
    """A constant with a number for each channel: `affine`, `scale`, or the bias of a layer."""
    node = site.element(x)
    numbers = _per_channel(site, x, node, known.array)
    if numbers is None:
        node = site.plain(x)
        x = replace(site.result(node), label=site.label)
        numbers = _per_channel(site, x, node, known.array)
    if numbers is None:
        return _with_parameter(site, name, x, known, turned)
    vector = weight_of(known, numbers)
    one, zero = (np.full(numbers.shape, n, np.float32) for n in (1, 0))
    match name, turned:
        case "add", _:
            factor, shift = Weight(one), vector
        case "subtract", False:
            factor, shift = Weight(one), Weight(-vector.array)
        case "subtract", True:
            factor, shift = Weight(-one), vector
        case "multiply", _:
            factor, shift = vector, Weight(zero)
        case "divide", False if vector.array.all():
            factor, shift = Weight(1 / vector.array), Weight(zero)
        case _:
            return _with_parameter(site, name, x, known, turned)
    if taken := _taken_in(site, name, x, node, vector):
        return taken
    if isinstance(node.op, Input):
        op = Scale(tuple(map(float, factor.array)), tuple(map(float, shift.array)))
        return site.same_places(x, node, site.add(op, node))
    weights = {"weight": factor, "bias": shift}
    return site.same_places(x, node, site.add(Affine(), node, weights=weights))


def _with_parameter(site: Site, name: str, x: Value, known: Known, turned: bool) -> Value:
    """A constant with numbers for positions: a join with a parameter."""
    if x.integer:
        raise unsupported("its operand holds whole numbers")
    if len(x.layout[0]) > 1:
        if known.array.ndim == len(x.layout):
            known = replace(known, array=known.array[:, None])
        made = _with_parameter(site, name, x.moved(apart(x.layout)), known, turned)
        return made.moved(together(made.layout))
    value = site.result(parameter(site, known, len(x.layout), site.element(x), "value"))
    return joined(site, JOINS[name](), [value, x] if turned else [x, value])


def _per_channel(site: Site, x: Value, node: Node, array: Array) -> Array | None:
    """The numbers of a constant for the channels of a node; None if it has others."""
    rank = len(x.layout)
    if array.ndim > rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    if normal([factor for axis in axes for factor in x.layout[axis]]) != channels_of(node):
        return None
    if node.type.channels == 1:
        return None
    if array.size != node.type.channels or any(shape[axis] != x.shape[axis] for axis in axes):
        raise damaged(f"a constant {list(array.shape)} does not fit its other operand")
    return array.reshape(-1)


def _taken_in(site: Site, name: str, x: Value, node: Node, numbers: Weight) -> Value | None:
    """A sum or product of what it alone reads: a layer without a bias, or a normalisation."""
    graph = site.builder.graph
    alone = site.alone(0 if isinstance(site.operands[0], Value) else 1)
    if not alone or graph.consumers(node) or x.function != X:
        return None
    op, zeros = node.op, Weight(np.zeros_like(numbers.array))
    match name, op:
        case "add", Conv() | FullyConnected() if not op.bias:
            more = {"bias": numbers}
        case "add", Affine() if site.builder.is_filled(node, "bias"):
            more = {"bias": numbers}
        case "add", LayerNorm() | InstanceNorm() | GroupNorm():
            if op.affine and not site.builder.is_filled(node, "bias"):
                return None
            ones = {} if op.affine else {"weight": Weight(np.ones_like(numbers.array))}
            more = {**ones, "bias": numbers}
        case "multiply", LayerNorm() | InstanceNorm() | GroupNorm() if not op.affine:
            more = {"weight": numbers, "bias": zeros}
        case "multiply", RmsNorm() if not op.affine:
            more = {"weight": numbers}
        case _:
            return None
    return site.same_places(x, node, site.builder.with_weights(node, more))


def mean(site: Site) -> Value:
    """`average`."""
    values = [site.value(place) for place in range(len(site.step.inputs))]
    return values[0] if len(values) == 1 else joined(site, Average(), values)


def _concat_of(axis: int, rank: int) -> Operator:
    """The operator that joins maps along an axis of tensors with so many axes."""
    if axis == 1:
        return Concat()
    for kind in BESIDE:
        with suppress(ValueError):
            if kind.axis(rank - 2) == axis - 2:
                return kind()
    raise Refusal("E0804", f"it goes along axis {axis} of {rank}")


def concat(site: Site) -> Value:
    """`concat` of channels, `concat_height` and the like of positions."""
    values = _with_constants(site)
    rank = len(values[0].layout)
    axis = site.axis(rank, 1)
    if len(values) == 1:
        return values[0]
    if any(len(v.layout) != rank for v in values):
        raise damaged("its operands differ in their number of axes")
    nodes = [site.element(v) for v in values]
    rest = {(*v.layout[:axis], (), *v.layout[axis + 1 :]) for v in values}
    along = all(v.layout[axis] == channels_of(node) for v, node in zip(values, nodes, strict=True))
    if not along or len(rest) > 1 or len({node.type.rank for node in nodes}) > 1:
        nodes = [site.plain(v) for v in values]
        return site.result(site.add(_concat_of(axis, rank), *nodes))
    node = site.add(Concat(), *nodes)
    layout = list(values[0].layout)
    layout[axis] = normal(channels_of(node))
    return site.result(node).moved(tuple(layout))


def _with_constants(site: Site) -> list[Value]:
    """The operands, constants as parameters."""
    operands = [site.operand(place) for place in range(len(site.step.inputs))]
    first = next(operand for operand in operands if isinstance(operand, Value))
    rank, beside = len(first.layout), site.element(first)
    return [
        operand
        if isinstance(operand, Value)
        else site.result(parameter(site, operand, rank, beside, f"value{i}"))
        for i, operand in enumerate(operands)
    ]


def where(site: Site) -> Tensor:
    """One of its operands, by a condition that is known and the same everywhere."""
    condition = site.array(0)
    if not condition.size or condition.any() != condition.all():
        raise unsupported("its condition differs between elements")
    chosen = site.operand(1 if condition.all() else 2)
    shapes = [condition.shape, site.operand(1).shape, site.operand(2).shape]
    rank = max(map(len, shapes))
    full = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    if [_longest(sizes) for sizes in zip(*full, strict=True)] != list(chosen.shape):
        raise unsupported("what it takes is repeated")
    return chosen


OPERATORS: dict[str, Read] = {
    "Add": _binary("add", "`add`; with constants a bias, `scale` or `affine`."),
    "Sub": _binary("subtract", "`sub`; with constants a bias, `scale` or `affine`."),
    "Mul": _binary("multiply", "`mul`; with constants `scale` or `affine`."),
    "Div": _binary("divide", "`div`; by constants `scale` or `affine`."),
    "Sum": _binary("add", "`add`."),
    "Max": _binary("maximum", "`max`, `clamp`."),
    "Min": _binary("minimum", "`min`, `clamp`."),
    "Mean": mean,
    "Concat": concat,
    "Where": where,
}
