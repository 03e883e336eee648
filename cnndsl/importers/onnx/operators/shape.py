"""Operators that move elements, and those that do nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from cnndsl.importers.onnx.folding import slice_of, slices, split_sizes
from cnndsl.importers.onnx.layout import Layout, normal, permuted, reshaped
from cnndsl.importers.onnx.operators.common import Read, channels_of
from cnndsl.importers.onnx.refusal import Refusal, damaged, unsupported
from cnndsl.importers.onnx.site import Site
from cnndsl.importers.onnx.tensors import FLOATS
from cnndsl.importers.onnx.values import Tensor, Value
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.operators import Slice


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
    x = site.unpadded(0)
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
    x = site.unpadded(0)
    rank = len(x.layout)
    axis = site.whole("axis", 1)
    axis = axis + rank if axis < 0 else axis
    if axis != 1:
        raise Refusal("E0804", f"it flattens from axis {axis} on, with the batch")
    return x.moved((x.layout[0], normal([f for one in x.layout[1:] for f in one])))


def squeeze(site: Site) -> Value:
    """Nothing."""
    x = site.unpadded(0)
    axes = site.axes(1, len(x.layout))
    if axes is None:
        axes = [i for i, axis in enumerate(x.layout) if not axis]
    if any(x.layout[axis] for axis in axes):
        raise Refusal("E0804", f"it takes away the axes {axes}, not all of which are of size 1")
    return x.moved(tuple(axis for i, axis in enumerate(x.layout) if i not in axes))


def unsqueeze(site: Site) -> Value:
    """Nothing."""
    x = site.unpadded(0)
    given = site.integers("axes") or site.whole_numbers(1)
    rank = len(x.layout) + len(given)
    axes = site.checked_axes(given, rank)
    rest = iter(x.layout)
    return x.moved(tuple(() if axis in axes else next(rest) for axis in range(rank)))


def transpose(site: Site) -> Value:
    """What moves nothing in the end is no operator."""
    x = site.unpadded(0)
    order = site.integers("perm", len(x.layout)) or list(range(len(x.layout)))[::-1]
    return x.moved(permuted(x.layout, order))


def _pieces(site: Site, x: Value, axis: int, bounds: list[tuple[int, int]]) -> list[Tensor]:
    """Ranges of the channels."""
    node = site.element(x)
    if x.layout[axis] != channels_of(node):
        node = site.plain(x)
        x = site.result(node)
        if axis != 1:
            raise unsupported(f"axis {axis} is not that of the channels")
    pieces: list[Tensor] = []
    for index, (start, stop) in enumerate(bounds):
        if (start, stop) == (0, node.type.channels):
            pieces.append(x)
            continue
        role = str(index) if len(bounds) > 1 else ""
        piece = site.add(Slice(start, stop), node, role=role)
        layout: Layout = tuple(
            channels_of(piece) if i == axis else one for i, one in enumerate(x.layout)
        )
        pieces.append(site.result(piece).moved(layout))
    return pieces


def split(site: Site) -> list[Tensor]:
    """`slice` for each piece of the channels."""
    x = site.unpadded(0)
    axis = site.axis(len(x.layout), 0)
    size = x.shape[axis]
    if not isinstance(size, int):
        raise Refusal("E0804", "it splits the batch, or an open size")
    ends = [0]
    for n in split_sizes(site, size):
        ends.append(ends[-1] + n)
    return _pieces(site, x, axis, list(pairwise(ends)))


def slice_(site: Site) -> Tensor:
    """`slice` of the channels."""
    x = site.unpadded(0)
    for axis, start, end, step in slices(site, len(x.layout)):
        size = x.shape[axis]
        if not isinstance(size, int):
            if (start, step) == (0, 1) and end >= 2**31 - 1:
                continue
            raise Refusal("E0804", "it takes a part of the batch, or of an open size")
        taken = range(size)[slice_of(start, end, step)]
        if not taken or taken.step < 1:
            raise unsupported("it takes nothing, or turns the order round")
        if len(taken) == size:
            continue
        if taken.step != 1 and len(taken) > 1:
            raise unsupported(f"it takes every {taken.step}th position")
        (piece,) = _pieces(site, x, axis, [(taken[0], taken[-1] + 1)])
        assert isinstance(piece, Value)
        x = piece
    return x


def gather(site: Site) -> Value:
    """`slice` of the channels, of indices one after another."""
    x = site.unpadded(0)
    rank = len(x.layout)
    axis = site.axis(rank, 0)
    indices = site.array(1)
    size = x.shape[axis]
    if not isinstance(size, int):
        raise Refusal("E0804", "it takes a part of the batch, or of an open size")
    places = [int(i) % size for i in indices.ravel()]
    if any(not -size <= int(i) < size for i in indices.ravel()) or not places or indices.ndim > 1:
        raise damaged(f"its indices are {str(indices.tolist())[:40]} of {size}")
    if places != list(range(places[0], places[0] + len(places))):
        raise unsupported("its indices do not follow one another")
    (piece,) = _pieces(site, x, axis, [(places[0], places[-1] + 1)])
    assert isinstance(piece, Value)
    if indices.ndim == 0:
        return piece.moved(tuple(one for i, one in enumerate(piece.layout) if i != axis))
    return piece


def pad(site: Site) -> Value:
    """A part of the convolution or pool that reads it."""
    x = site.unpadded(0)
    rank = len(x.layout)
    mode = site.text("mode", "constant")
    if mode != "constant":
        raise unsupported(f"its mode is {mode}")
    if site.opset < 11:
        given, fill = site.integers("pads", 2 * rank) or [], site.number("value", 0.0)
    else:
        given, fill = site.whole_numbers(1), site.scalar(2) if site.has(2) else 0.0
        axes = site.axes(3, rank) if site.has(3) else list(range(rank))
        assert axes is not None
        if len(given) != 2 * len(axes):
            raise damaged(f"its pads are {given[:20]}")
        full = [0] * (2 * rank)
        for place, axis in enumerate(axes):
            full[axis], full[rank + axis] = given[place], given[len(axes) + place]
        given = full
    if len(given) != 2 * rank:
        raise damaged(f"its pads are {given[:20]}")
    pairs = tuple(zip(given[:rank], given[rank:], strict=True))
    if any(pairs[0]):
        raise Refusal("E0804", "it pads the batch")
    if any(count < 0 for pair in pairs for count in pair):
        raise unsupported("it crops by negative padding")
    return replace(x, pads=pairs[1:], fill=fill) if any(map(any, pairs)) else x


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
    "Pad": pad,
}
