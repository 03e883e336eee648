"""Operators that select, reorder and repeat elements."""

from __future__ import annotations

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings, fixed_shape
from cnndsl.ir.operators.shape import PadChannels, Shuffle, Slice, Subsample


def _slice(site: Site, op: Slice) -> None:
    bounds = site.integers("start", [op.start]), site.integers("stop", [op.stop])
    site.emit("Slice", site.input, *bounds, site.integers("axis", [1]))


def _shuffle(site: Site, op: Shuffle) -> None:
    """[groups, channels / groups] transposed; the positions are one axis unless they are known."""
    x = site.input_type
    known = [n for n in x.spatial if isinstance(n, int)]
    spatial = known if len(known) == x.rank <= 2 else [-1]
    split = [site.batch, op.groups, x.channels // op.groups, *spatial]
    axes = range(3, len(split))
    groups = site.step("groups", "Reshape", site.input, site.integers("groups_shape", split))
    swapped = site.step("swapped", "Transpose", groups, perm=[0, 2, 1, *axes])
    fixed = fixed_shape(x.shape)
    if fixed is not None:
        shape = site.integers("shape", [site.batch, *fixed])
    else:
        shape = site.step("shape", "Shape", site.input)
    site.emit("Reshape", swapped, shape)


def _pad_channels(site: Site, op: PadChannels) -> None:
    x = site.input_type
    after = [0, op.channels - x.channels] + [0] * x.rank
    counts = site.integers("pads", [0] * len(after) + after)
    site.emit("Pad", site.input, counts, mode="constant")


def _subsample(site: Site, op: Subsample) -> None:
    """Averages of one element, which more runtimes have than strided slices."""
    ones = [1] * site.input_type.rank
    site.emit("AveragePool", site.input, kernel_shape=ones, strides=op.stride)


LOWERINGS: Lowerings = {
    Slice: _slice,
    Shuffle: _shuffle,
    PadChannels: _pad_channels,
    Subsample: _subsample,
}
