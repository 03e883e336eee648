"""Operators that move elements, and those that do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from cnndsl.importers.onnx.layout import (
    BATCH,
    BATCH_FACTOR,
    apart,
    batch_first,
    normal,
    permuted,
    reshaped,
    together,
)
from cnndsl.importers.onnx.operators.common import Read, channels_of
from cnndsl.importers.onnx.ranges import slice_of, slices, split_sizes
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.step import as_written
from cnndsl.importers.onnx.tensors import FLOATS
from cnndsl.importers.onnx.values import Array, Tensor, Value
from cnndsl.ir.dims import Dim, OpenDim, times
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import (
    Concat,
    Crop,
    PixelShuffle,
    PixelUnshuffle,
    Resize,
    Slice,
    Subsample,
    Upsample,
)

RUNS = 16
"""Ranges that indices may consist of."""


def same(site: Site) -> Value:
    """Nothing."""
    return site.value(0)


def dropout(site: Site) -> Value:
    """Nothing: it is for training."""
    if site.has(2) and bool(site.array(2).any()):
        raise unsupported("it is in training mode")
    return site.value(0)


def cast(site: Site) -> Value:
    """Nothing, between floats, and from whole numbers to floats."""
    x = site.value(0)
    if site.whole("to") not in FLOATS:
        raise unsupported("it makes whole numbers")
    return replace(x, integer=False)


def reshape(site: Site) -> Value:
    """What moves nothing is no operator."""
    x = site.value(0)
    known = site.known(1)
    target: list[Dim] = [
        size if isinstance(size, OpenDim) else int(size) for size in known.array.ravel()
    ]
    if not site.whole("allowzero"):
        sizes = x.shape
        target = [sizes[i] if n == 0 and i < len(sizes) else n for i, n in enumerate(target)]
    if any(isinstance(n, int) and n < 1 and n != -1 for n in target) or len(target) > 16:
        raise damaged(f"its shape is {', '.join(map(str, target[:16]))}")
    return site.relaid(x, reshaped(x.layout, target, site.builder.batch), target)


def flatten(site: Site) -> Value:
    """`flatten`, where a layer does not read it flattened anyway."""
    x = site.value(0)
    rank = len(x.layout)
    axis = site.whole("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if not 1 <= axis <= rank:
        raise Refusal("E0804", f"it flattens from axis {axis} on, with the batch")
    front, back = ([f for one in part for f in one] for part in (x.layout[:axis], x.layout[axis:]))
    return x.moved((normal(front), normal(back)))


def squeeze(site: Site) -> Value:
    """Nothing."""
    x = site.value(0)
    axes = site.axes(1, len(x.layout))
    if axes is None:
        axes = [i for i, axis in enumerate(x.layout) if not axis]
    if any(x.layout[axis] for axis in axes):
        raise Refusal("E0804", f"it takes away the axes {axes}, not all of which are of size 1")
    return x.moved(tuple(axis for i, axis in enumerate(x.layout) if i not in axes))


def unsqueeze(site: Site) -> Value:
    """Nothing."""
    x = site.value(0)
    given = site.integers("axes") or site.whole_numbers(1)
    rank = len(x.layout) + len(given)
    axes = site.checked_axes(given, rank)
    rest = iter(x.layout)
    return x.moved(tuple(() if axis in axes else next(rest) for axis in range(rank)))


def transpose(site: Site) -> Value:
    """What moves nothing in the end is no operator."""
    x = site.value(0)
    order = site.integers("perm", len(x.layout)) or list(range(len(x.layout)))[::-1]
    return x.moved(permuted(x.layout, order))


def _cropped(site: Site, node: Node, sides: Sequence[tuple[int, int]], role: str) -> Node:
    """A map without its sides; of one that is cropped already, both at once."""
    while isinstance(node.op, Crop):
        sides = [(a + c, b + d) for (a, b), (c, d) in zip(sides, node.op.cut, strict=True)]
        (node,) = site.builder.graph.producers(node)
    return site.add(Crop(tuple(sides)), node, role=role)


def _piece(site: Site, x: Value, axis: int, taken: range, role: str = "") -> Value:
    """Some positions of an axis, in order: `slice`, `crop`, `subsample`."""
    size = x.shape[axis]
    if taken == range(size if isinstance(size, int) else 0):
        return x
    order = batch_first(x.layout)
    if axis == 1 and taken.step > 1 and len(order) > 2:
        order[1:3] = order[2], order[1]
    if order != sorted(order):
        part = _piece(site, x.moved(permuted(x.layout, order)), order.index(axis), taken, role)
        return part.moved(permuted(part.layout, [order.index(a) for a in range(len(order))]))
    if len(x.layout[0]) > 1:
        part = _piece(site, x.moved(apart(x.layout)), axis + 1, taken, role)
        return part.moved(together(part.layout))
    node = site.element(x)
    if taken.step == 1 and x.layout[axis] == channels_of(node):
        made = site.add(Slice(taken.start, taken.stop), node, role=role)
        layout = tuple(channels_of(made) if i == axis else a for i, a in enumerate(x.layout))
        return site.result(made).moved(layout)
    if axis == 1 and taken.step > 1:
        raise unsupported("it takes channels that do not follow one another")
    node = site.plain(x)
    if axis == 1:
        return site.result(site.add(Slice(taken.start, taken.stop), node, role=role))
    sizes = node.type.sizes
    last = taken[-1]
    sides = [(0, 0)] * (len(sizes) - 1)
    after = sizes[axis - 1] - 1 - last
    sides[axis - 2] = (taken.start, 0 if after < taken.step else after)
    made = _cropped(site, node, sides, role) if any(map(any, sides)) else node
    if taken.step > 1 and len(taken) > 1:
        steps = [1] * (len(sizes) - 1)
        steps[axis - 2] = taken.step
        made = site.add(Subsample(tuple(steps)), made, role=f"{role}every")
    return site.result(made)


def _pieces(site: Site, x: Value, axis: int, bounds: list[tuple[int, int]]) -> list[Tensor]:
    """Ranges of an axis."""
    return [
        _piece(site, x, axis, range(start, stop), str(index) if len(bounds) > 1 else "")
        for index, (start, stop) in enumerate(bounds)
    ]


def split(site: Site) -> list[Tensor]:
    """`slice` for each piece of the channels, `crop` of positions."""
    x = site.value(0)
    axis = site.axis(len(x.layout), 0)
    size = x.shape[axis]
    if not isinstance(size, int):
        raise Refusal("E0804", "it splits the batch, or an open size")
    ends = [0]
    for n in split_sizes(site, size):
        ends.append(ends[-1] + n)
    return _pieces(site, x, axis, list(pairwise(ends)))


def slice_(site: Site) -> Tensor:
    """`slice` of channels, `crop` and `subsample` of positions."""
    x = site.value(0)
    for axis, start, end, step in slices(site, len(x.layout)):
        size = x.shape[axis]
        if not isinstance(size, int):
            if (start, step) == (0, 1) and end >= 2**31 - 1:
                continue
            raise Refusal("E0804", "it takes a part of the batch, or of an open size")
        taken = range(size)[slice_of(start, end, step)]
        if not taken or taken.step < 1:
            raise unsupported("it takes nothing, or turns the order round")
        x = _piece(site, x, axis, range(taken[0], taken[-1] + 1, taken.step))
    return x


def gather(site: Site) -> Value:
    """`slice` of channels, one for each run of indices, and `concat`; `crop` of positions."""
    x = site.value(0)
    rank = len(x.layout)
    axis = site.axis(rank, 0)
    indices = site.array(1)
    size = x.shape[axis]
    if _is_whole(site, x, axis, indices):
        target = [*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]]
        return site.relaid(x, reshaped(x.layout, target, site.builder.batch), target)
    if not isinstance(size, int):
        raise Refusal("E0804", "it takes a part of the batch, or of an open size")
    places = site.whole_numbers(1)
    if any(not -size <= i < size for i in places) or not places or indices.ndim > 1:
        raise damaged(f"its indices are {str(indices.tolist())[:40]} of {size}")
    places = [i % size for i in places]
    starts = [i for i, n in enumerate(places) if i == 0 or n != places[i - 1] + 1]
    if len(starts) > RUNS or (len(starts) > 1 and axis != 1):
        raise unsupported(f"its indices are {len(starts)} runs")
    bounds = [(places[i], places[i] + j - i) for i, j in pairwise([*starts, len(places)])]
    pieces = [piece for piece in _pieces(site, x, axis, bounds) if isinstance(piece, Value)]
    if len(pieces) > 1:
        return site.result(site.add(Concat(), *(site.plain(piece) for piece in pieces)))
    (piece,) = pieces
    if indices.ndim == 0:
        return piece.moved(tuple(one for i, one in enumerate(piece.layout) if i != axis))
    return piece


def _is_whole(site: Site, x: Value, axis: int, indices: Array) -> bool:
    """Whether the indices are those of all elements, in order, in a shape of their own."""
    size = x.shape[axis]
    if isinstance(size, OpenDim) and site.builder.batch == 1:
        size = times(size, BATCH)
    return (
        indices.ndim > 1
        and indices.size == size
        and np.array_equal(indices.ravel(), np.arange(indices.size))
    )


def _factors(site: Site) -> int:
    size = site.whole("blocksize")
    if size < 1:
        raise damaged(f"its blocksize is {size}")
    return size


def depth_to_space(site: Site) -> Value:
    """`pixel_shuffle`."""
    op = PixelShuffle((_factors(site),), site.text("mode", "DCR").lower())
    if op.order not in ("crd", "dcr"):
        raise damaged(f"its mode is {op.order!r}")
    x = site.value(0)
    if op.order == "dcr" and (moved := _from_blocks(x, *op.factor)):
        return moved
    return site.result(site.add(op, site.plain(x)))


def space_to_depth(site: Site) -> Value:
    """`pixel_unshuffle`."""
    x = site.value(0)
    factor = _factors(site)
    if moved := _to_blocks(x, factor):
        return moved
    return site.result(site.add(PixelUnshuffle((factor,), "dcr"), site.plain(x)))


def _to_blocks(x: Value, factor: int) -> Value | None:
    """Blocks of positions beside the samples, where these are the second axis."""
    if len(x.layout) != 4 or BATCH_FACTOR not in x.layout[1]:
        return None
    first, second, *sizes = x.shape
    parts = [part for n in sizes for part in (_over(n, factor), factor)]
    found = reshaped(x.layout, [first, second, *parts], None) if all(parts) else None
    if found is None:
        return None
    a, b, h, dh, w, dw = found
    return x.moved((a, normal([*dh, *dw, *b]), h, w))


def _from_blocks(x: Value, factor: int) -> Value | None:
    """The other way round."""
    if len(x.layout) != 4 or BATCH_FACTOR not in x.layout[1]:
        return None
    first, second, *sizes = x.shape
    rest = times(second, factor**2 * BATCH)
    found = (
        reshaped(x.layout, [first, factor, factor, BATCH * rest, *sizes], None) if rest else None
    )
    if found is None:
        return None
    a, dh, dw, b, h, w = found
    return x.moved((a, b, normal([*h, *dh]), normal([*w, *dw])))


def _over(size: Dim, factor: int) -> int:
    """A part of a known size; 0 if it is none."""
    return size // factor if isinstance(size, int) and size % factor == 0 else 0


def resize(site: Site) -> Value:
    """`upsample` or `resize`, of the spatial axes."""
    x = site.value(0)
    rank = len(x.layout)
    node = site.plain(x)
    is_old = site.step.kind == "Upsample" or site.opset < 11
    if site.whole("antialias") or site.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise unsupported("it smooths, or keeps proportions")
    places = {"scales": 1 if is_old else 2, "sizes": 3}
    axes = site.checked_axes(site.integers("axes") or list(range(rank)), rank)
    settings: dict[str, Any] = {
        "mode": site.text("mode", "nearest"),
        "coordinates": site.text("coordinate_transformation_mode", "half_pixel"),
        "rounding": site.text("nearest_mode", "round_prefer_floor"),
        "cubic_coeff": site.number("cubic_coeff_a", -0.75),
    }
    if is_old:
        settings |= {"coordinates": "asymmetric", "rounding": "floor"}
    if site.whole("exclude_outside"):
        raise unsupported("it leaves out what lies outside")
    scales = site.attribute("scales", list, None)
    if scales is None and site.has(places["scales"]) and site.array(places["scales"]).size:
        scales = [float(s) for s in site.array(places["scales"]).ravel()]
    if scales is not None:
        if len(scales) != len(axes) or not all(0 < s < np.inf for s in scales):
            raise damaged(f"its scales are {str(scales)[:60]}")
        given: list[float] = [1.0] * rank
        for axis, scale in zip(axes, scales, strict=True):
            given[axis] = scale
        if given[:2] != [1.0, 1.0]:
            raise unsupported("it resizes the batch or the channels")
        whole = tuple(round(scale) for scale in given[2:])
        nearest = settings["mode"] == "nearest"
        if nearest and _floors(settings) and list(whole) == given[2:] and min(whole) > 0:
            return site.result(site.add(Upsample(whole), node))
        settings["factor"] = tuple(as_written(scale) for scale in given[2:])
    else:
        known = site.known(places["sizes"])
        sizes = [*x.shape]
        if known.array.size != len(axes):
            raise damaged(f"it has {known.array.size} sizes for {len(axes)} axes")
        for axis, size in zip(axes, known.array.ravel(), strict=True):
            sizes[axis] = size if isinstance(size, OpenDim) else int(size)
        if sizes[1:2] != [*x.shape[1:2]] or BATCH in sizes[2:]:
            raise unsupported("it resizes the channels, or to the size of the batch")
        settings["size"] = tuple(sizes[2:])
        whole = tuple(map(times, settings["size"], node.type.spatial))
        if settings["mode"] == "nearest" and _floors(settings) and all(whole):
            return site.result(site.add(Upsample(whole), node))
    if settings["coordinates"] == "tf_half_pixel_for_nn":
        raise unsupported("its coordinates are those of tf_half_pixel_for_nn")
    return site.result(site.add(Resize(**settings), node))


def _floors(settings: dict[str, Any]) -> bool:
    """Whether nearest neighbours, of a whole factor, are those before."""
    pair = (settings["coordinates"], settings["rounding"])
    return pair in {
        ("asymmetric", "floor"),
        ("tf_half_pixel_for_nn", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("half_pixel", "round_prefer_ceil"),
        ("pytorch_half_pixel", "round_prefer_floor"),
    }


OPERATORS: dict[str, Read] = {
    "Identity": same,
    "Dropout": dropout,
    "Cast": cast,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Resize": resize,
    "Upsample": resize,
}
