"""Operators that select, reorder and repeat elements."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings
from cnndsl.ir.operators.shape import PadChannels, Shuffle, Slice, Subsample, Upsample

INT64_MAX = np.iinfo(np.int64).max
"""As the end of a slice: to the end of the axis."""


def _slice(site: Site, op: Slice) -> None:
    bounds = site.integers("start", [op.start]), site.integers("stop", [op.stop])
    site.emit("Slice", site.input, *bounds, site.integers("axis", [1]))


def _shuffle(site: Site, op: Shuffle) -> None:
    """Channels gathered in their new order, which works for maps of any size."""
    order = np.arange(site.input_type.channels).reshape(op.groups, -1).T.ravel()
    site.emit("Gather", site.input, site.integers("order", order), axis=1)


def _pad_channels(site: Site, op: PadChannels) -> None:
    x = site.input_type
    after = [0, op.channels - x.channels] + [0] * x.rank
    site.emit("Pad", site.input, site.integers("pads", [0] * len(after) + after))


def _subsample(site: Site, op: Subsample) -> None:
    rank = site.input_type.rank
    site.emit(
        "Slice",
        site.input,
        site.integers("starts", [0] * rank),
        site.integers("ends", [INT64_MAX] * rank),
        site.integers("axes", range(2, 2 + rank)),
        site.integers("steps", op.stride),
    )


def _upsample(site: Site, op: Upsample) -> None:
    """Resize with the nearest position before; it has an unused operand."""
    site.emit(
        "Resize",
        site.input,
        "",
        site.floats("scales", [1, 1, *op.factor]),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


LOWERINGS: Lowerings = {
    Slice: _slice,
    Shuffle: _shuffle,
    PadChannels: _pad_channels,
    Subsample: _subsample,
    Upsample: _upsample,
}
