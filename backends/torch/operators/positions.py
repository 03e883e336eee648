"""Padding, cropping, blocks of positions as channels, other axes, other sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Layer, Slot, X, alike, call, code, expression, flat_pads
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Crop,
    Pad,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Resize,
    Subsample,
    Upsample,
)
from cnndsl.ir.part import Part

MODES = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def pad(part: Part[Pad]) -> Layer:
    """PyTorch's, with its names for the modes."""
    op = part.op
    options: dict[str, tuple[Any, Any]] = {"value": (op.value, 0.0)}
    if op.mode != "constant":
        options = {"mode": (MODES[op.mode], "constant")}
    return Layer(call("F.pad", X, Slot("pads", flat_pads(op.pads)), **options))


def crop(part: Part[Crop]) -> Layer:
    """Less than nothing around the map."""
    cut = tuple((-before, -after) for before, after in part.op.cut)
    return Layer(call("F.pad", X, Slot("cut", flat_pads(cut))))


def pixel_shuffle(part: Part[PixelShuffle]) -> Layer:
    """PyTorch's for images and the order crd."""
    factor = part.op.factor
    if len(factor) == 2 and len(set(factor)) == 1 and part.op.order == "crd":
        return expression("F.pixel_shuffle({x}, {factor})", factor=factor[0])
    return Layer(call("pixel_shuffle", X, Slot("factor", factor), order=(part.op.order, "crd")))


def pixel_unshuffle(part: Part[PixelUnshuffle]) -> Layer:
    """PyTorch's for images and the order crd."""
    factor = part.op.factor
    if len(factor) == 2 and len(set(factor)) == 1 and part.op.order == "crd":
        return expression("F.pixel_unshuffle({x}, {factor})", factor=factor[0])
    return Layer(call("pixel_unshuffle", X, Slot("factor", factor), order=(part.op.order, "crd")))


def permute(part: Part[Permute]) -> Layer:
    """The batch stays in front."""
    return expression("{x.}.permute({axes})", axes=(0, *(1 + axis for axis in part.op.axes)))


def reshape(part: Part[Reshape]) -> Layer:
    """The batch stays as it is."""
    return expression("{x.}.flatten(1).unflatten(1, {shape})", shape=part.op.shape)


def subsample(part: Part[Subsample]) -> Layer:
    """Every stride-th position."""
    steps = ", ".join(f"::{stride}" for stride in part.op.stride)
    return Layer(code(f"{{x.}}[:, :, {steps}]"))


def upsample(part: Part[Upsample]) -> Layer:
    """PyTorch's where its rounding is exact, for powers of two; else axis by axis."""
    factor = part.op.factor
    if all(f & (f - 1) == 0 for f in factor):
        return expression("F.interpolate({x}, scale_factor={factor})", factor=alike(factor))
    repeats = "".join(f".repeat_interleave({f}, {axis})" for axis, f in enumerate(factor, 2))
    return Layer(code(f"{{x.}}{repeats}"))


def resize(part: Part[Resize]) -> Layer:
    """PyTorch's where it has the mode and the coordinates."""
    op, rank = part.op, part.inputs[0].rank
    size: tuple[str, Any] = ("size", op.size and alike(op.size))
    if op.factor is not None:
        size = ("scale_factor", alike(op.factor))
    align = {"half_pixel": False, "align_corners": True}.get(op.coordinates)
    modes = {"linear": LINEAR[rank], "cubic": "bicubic" if rank == 2 else None}
    mode = modes.get(op.mode)
    exact = op.coordinates == "half_pixel" or op.factor is None
    if mode and align is not None and exact and (op.mode == "linear" or op.cubic_coeff == -0.75):
        template = f"F.interpolate({{x}}, {size[0]}={{{size[0]}}}, mode={mode!r}"
        return expression(f"{template}, align_corners={align})", **{size[0]: size[1]})
    options: dict[str, tuple[Any, Any]] = {
        "size": (op.size, None),
        "factor": (op.factor, None),
        "mode": (op.mode, "nearest"),
    }
    options |= {
        "coordinates": (op.coordinates, "half_pixel"),
        "rounding": (op.rounding, "round_prefer_floor"),
        "cubic_coeff": (op.cubic_coeff, -0.75),
    }
    return Layer(call("resize", X, **options))


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    Pad: pad,
    Crop: crop,
    PixelShuffle: pixel_shuffle,
    PixelUnshuffle: pixel_unshuffle,
    Permute: permute,
    Reshape: reshape,
    Resize: resize,
    Subsample: subsample,
    Upsample: upsample,
}
