"""Values that are repeated along axes of size 1, and constants that are values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cnndsl.importers.onnx.builder import Weight
from cnndsl.importers.onnx.layout import BATCH, apart, sizes_of, together
from cnndsl.importers.onnx.operators.common import Read, weight_of
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.tensors import ELEMENTS
from cnndsl.importers.onnx.values import Known, Value
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import Add, LearnedValue, Upsample


def parameter(site: Site, known: Known, rank: int, beside: Node, role: str) -> Node:
    """A constant as a value of so many axes, the same for each sample; see `LearnedValue`."""
    array = known.array
    if known.is_symbolic:
        raise unsupported("an operand depends on an open size", "give the inputs known sizes")
    if array.ndim > rank:
        raise unsupported(f"a constant {list(array.shape)} has more than {rank} axes")
    shape = (1,) * (rank - array.ndim) + array.shape
    if shape[0] != 1:
        raise Refusal("E0804", f"a constant {list(array.shape)} differs between samples")
    given = weight_of(known, array.reshape(shape[1:]))
    op = LearnedValue(shape[1:], learned=given.origin is not None)
    return site.add(op, beside, weights={"value": given}, role=role)


def repeated(site: Site, x: Value, shape: Sequence[Dim]) -> Value:
    """A value of the shape, without the batch, repeated along its axes of size 1."""
    node = site.plain(x)
    if node.type.shape == tuple(shape):
        return site.result(node)
    grown = [old != new for old, new in zip(node.type.shape, shape, strict=True)]
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape):
        raise unsupported("it repeats what is to an open size", "give the inputs known sizes")
    if grown[0]:
        zeros = Weight(np.zeros(sizes, np.float32))
        op = LearnedValue(tuple(sizes), learned=False)
        whole = site.add(op, node, weights={"value": zeros}, role="zeros")
        made = site.add(Add(), whole, node, role="repeated")
    else:
        factors = tuple(n if g else 1 for n, g in zip(sizes[1:], grown[1:], strict=True))
        made = site.add(Upsample(factors), node, role="repeated")
    site.builder.repeated[made.name] = x
    return site.result(made)


def expand(site: Site) -> Value:
    """Nothing where a join repeats it anyway; else `upsample`, or a sum with zeros."""
    x = site.operand(0)
    wanted: list[Dim] = [
        size if isinstance(size, OpenDim) else int(size) for size in site.known(1).array.ravel()
    ]
    if any(isinstance(size, int) and size < 1 for size in wanted):
        raise damaged(f"its shape is {', '.join(map(str, wanted[:16]))}")
    if isinstance(x, Known):
        return _constant(site, x, wanted)
    sizes = x.shape
    if len(wanted) > len(sizes):
        raise unsupported("it adds axes")
    wanted = [*(1,) * (len(sizes) - len(wanted)), *wanted]
    if wanted[0] not in (1, sizes[0], site.builder.batch):
        raise Refusal("E0804", "it repeats samples")
    pairs = list(zip(sizes[1:], wanted[1:], strict=True))
    if any(old != 1 and new not in (1, old) for old, new in pairs):
        raise damaged("its shape does not fit that of its operand")
    shape = [old if new == 1 else new for old, new in pairs]
    if len(x.layout[0]) > 1:
        first, *_ = sizes_of((x.layout[0][1:],))
        made = repeated(site, x.moved(apart(x.layout)), [first, *shape])
        return made.moved(together(made.layout))
    return repeated(site, x, shape)


def _constant(site: Site, known: Known, wanted: Sequence[Dim]) -> Value:
    """A constant that is there for each sample."""
    sizes = [size for size in wanted[1:] if isinstance(size, int)]
    if not wanted or wanted[0] != BATCH or len(sizes) < len(wanted) - 1:
        raise unsupported("a constant gets an open size", "give the inputs known sizes")
    try:
        shape = np.broadcast_shapes(known.array.shape, (1, *sizes))
    except ValueError:
        raise damaged("its shape does not fit that of its operand") from None
    if math.prod(shape) > ELEMENTS:
        raise Refusal("E0805", f"a constant has more than {ELEMENTS:,} numbers")
    array = known.array if known.array.shape == shape else np.broadcast_to(known.array, shape)
    beside = site.builder.graph[site.builder.graph.inputs[0]]
    return site.result(parameter(site, Known(array, known.origin), len(shape), beside, ""))


def tile(site: Site) -> Value:
    """As Expand, along axes of size 1."""
    x = site.value(0)
    counts = site.whole_numbers(1)
    if len(counts) != len(x.layout) or any(count < 1 for count in counts):
        raise damaged(f"its repeats are {counts[:16]}")
    if counts[0] != 1 or len(x.layout[0]) > 1:
        raise Refusal("E0804", "it repeats samples")
    pairs = list(zip(x.shape[1:], counts[1:], strict=True))
    if any(size != 1 and count > 1 for size, count in pairs):
        raise unsupported("it repeats an axis that is longer than 1")
    return repeated(site, x, [count if size == 1 else size for size, count in pairs])


OPERATORS: dict[str, Read] = {"Expand": expand, "Tile": tile}
