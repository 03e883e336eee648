"""Padding, cropping, blocks of positions as channels, other axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import (
    INT64_MAX,
    Lowerings,
    onnx_pads,
    shape_with,
    sized,
    spatial_sizes,
)
from cnndsl.ir.operators.positions import Crop, Pad, Permute, PixelShuffle, PixelUnshuffle, Reshape


def _pad(site: Site, op: Pad) -> None:
    """Wrapped positions are slices, which all operator sets have."""
    if op.mode == "wrap":
        _wrap(site, op)
        return
    counts = site.integers("pads", onnx_pads(((0, 0), (0, 0), *op.pads)))
    value = [site.floats("value", op.value)] if op.mode == "constant" else []
    site.emit("Pad", site.input, counts, *value, mode=op.mode)


def _wrap(site: Site, op: Pad) -> None:
    x = site.input
    padded = [axis for axis, pads in enumerate(op.pads) if any(pads)]
    for axis in padded:
        before, after = op.pads[axis]
        ends = [("before", -before, INT64_MAX)] * (before > 0)
        parts = [_part(site, x, f"{name}{axis}", a, b, axis) for name, a, b in ends]
        parts.append(x)
        if after:
            parts.append(_part(site, x, f"after{axis}", 0, after, axis))
        if axis == padded[-1]:
            site.emit("Concat", *parts, axis=2 + axis)
        else:
            x = site.step(f"axis{axis}", "Concat", *parts, axis=2 + axis)
    if not padded:
        site.emit("Identity", x)


def _part(site: Site, x: str, role: str, start: int, end: int, axis: int) -> str:
    bounds = site.integers(f"{role}_start", [start]), site.integers(f"{role}_end", [end])
    return site.step(role, "Slice", x, *bounds, site.integers(f"{role}_axis", [2 + axis]))


def _crop(site: Site, op: Crop) -> None:
    starts = site.integers("starts", [before for before, _ in op.cut])
    ends = site.integers("ends", [-after if after else INT64_MAX for _, after in op.cut])
    axes = site.integers("axes", range(2, 2 + len(op.cut)))
    site.emit("Slice", site.input, starts, ends, axes)


def _pixel_shuffle(site: Site, op: PixelShuffle) -> None:
    """DepthToSpace for images and one factor, else by other axes."""
    x, rank = site.input_type, site.input_type.rank
    if rank == 2 and len(set(op.factor)) == 1:
        site.emit("DepthToSpace", site.input, blocksize=op.factor[0], mode=op.order.upper())
        return
    count = x.channels // math.prod(op.factor)
    is_crd = op.order == "crd"
    head = [site.batch, *((count, *op.factor) if is_crd else (*op.factor, count))]
    axes = [0, 1 if is_crd else 1 + rank]
    for axis in range(rank):
        axes += [2 + rank + axis, (2 if is_crd else 1) + axis]
    if not x.is_open:
        split = site.integers("split_shape", [*head, *x.sizes[1:]])
        shape = site.integers("shape", [site.batch, *site.output_type.sizes])
    else:
        sizes = spatial_sizes(site, "sizes", site.input)
        split = shape_with(site, "split_shape", head, sizes)
        larger = site.step("larger", "Mul", sizes, site.integers("factor", op.factor))
        shape = shape_with(site, "shape", [site.batch, count], larger)
    _by_axes(site, split, axes, shape)


def _by_axes(site: Site, split: str, axes: Sequence[int], shape: str) -> None:
    parts = site.step("split", "Reshape", site.input, split)
    site.emit("Reshape", site.step("ordered", "Transpose", parts, perm=axes), shape)


def _pixel_unshuffle(site: Site, op: PixelUnshuffle) -> None:
    """SpaceToDepth has one order of channels only."""
    x, rank, y = site.input_type, site.input_type.rank, site.output_type
    split = [n for pair in zip(y.spatial, op.factor, strict=True) for n in pair]
    inner = [3 + 2 * axis for axis in range(rank)]
    head = [1, *inner] if op.order == "crd" else [*inner, 1]
    axes = [0, *head, *(2 + 2 * axis for axis in range(rank))]
    parts = sized(site, "split_shape", [site.batch, x.channels, *split])
    _by_axes(site, parts, axes, sized(site, "shape", [site.batch, *y.shape]))


def _permute(site: Site, op: Permute) -> None:
    site.emit("Transpose", site.input, perm=[0, *(1 + axis for axis in op.axes)])


def _reshape(site: Site, op: Reshape) -> None:
    site.emit("Reshape", site.input, site.integers("shape", [site.batch, *op.shape]))


LOWERINGS: Lowerings = {
    Pad: _pad,
    Crop: _crop,
    PixelShuffle: _pixel_shuffle,
    PixelUnshuffle: _pixel_unshuffle,
    Permute: _permute,
    Reshape: _reshape,
}
