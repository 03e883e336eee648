"""Maps of another size, by ONNX's operator Resize."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowerings
from cnndsl.ir.operators.resize import Resize, position, rounded
from cnndsl.ir.operators.shape import Upsample


def _upsample(site: Site, op: Upsample) -> None:
    """Resize with the nearest position before."""
    _emit(site, Resize(coordinates="asymmetric", rounding="floor"), op.factor)


def _resize(site: Site, op: Resize) -> None:
    """Runtimes compute cubic ones of images only."""
    if op.mode == "cubic" and site.input_type.rank == 1:
        image = site.step("image", "Unsqueeze", site.input, axes=[2])
        resized = site.before("resized", site.part, [image])
        _to_size(resized, op, 1)
        site.emit("Squeeze", resized.tensor, axes=[2])
    else:
        _to_size(site, op)


def _to_size(site: Site, op: Resize, *before: int) -> None:
    """By factors, which need no batch; by indices where runtimes would round a position amiss.

    `before` are the sizes of axes in front that stay.
    """
    x, y = site.part.inputs[0], site.output_type
    if (x.is_open or y.is_open) and op.size is not None:
        shape = site.step("shape", "Shape", site.input)
        bounds = site.integers("head_start", [0]), site.integers("head_end", [2])
        head = site.step("head", "Slice", shape, *bounds)
        size = [site.integers("size", [*before])] * bool(before)
        size += [site.size(dim) for dim in op.size]
        _emit(site, op, [], site.step("sizes", "Concat", head, *size, axis=0))
        return
    if op.factor is not None:
        scales = [_at_least(Fraction(str(factor))) for factor in op.factor]
    else:
        axes = zip(y.sizes[1:], x.sizes[1:], strict=True)
        scales = [_at_least(Fraction(results, n)) for results, n in axes]
    if not x.is_open and op.mode == "nearest" and not _is_certain(op, scales, site):
        _gather(site, op)
    else:
        _emit(site, op, [*before, *scales])


def _emit(site: Site, op: Resize, scales: Sequence[float], *sizes: str) -> None:
    """The operator; its operand for regions of interest is empty."""
    factors = [1, 1, *scales] if scales else []
    of_mode: dict[str, Any] = {
        "nearest": {"nearest_mode": op.rounding},
        "linear": {},
        "cubic": {"cubic_coeff_a": op.cubic_coeff},
    }
    site.emit(
        "Resize",
        site.input,
        site.floats("roi", []),
        site.singles("scales", factors),
        *sizes,
        mode=op.mode,
        coordinate_transformation_mode=op.coordinates,
        **of_mode[op.mode],
    )


def _at_least(factor: Fraction) -> float:
    """The least float32 from a factor on: so no runtime makes a position too few."""
    near = np.float32(factor)
    return float(
        near if Fraction(float(near)) >= factor else np.nextafter(near, np.float32(np.inf))
    )


def _is_certain(op: Resize, scales: Sequence[float], site: Site) -> bool:
    """Whether positions that are computed in float32 are rounded as exact ones are."""
    axes = zip(scales, site.input_type.sizes[1:], site.output_type.sizes[1:], strict=True)
    for axis, (scale, n, results) in enumerate(axes):
        for j, ((exact, _),) in enumerate(op.taps(axis, n, results)):
            p = position(op.coordinates, np.float32(scale), n, results, np.float32(j))
            if min(max(rounded(op.rounding, p), 0), n - 1) != exact:
                return False
    return True


def _gather(site: Site, op: Resize) -> None:
    """The positions of one axis after another."""
    x, last = site.input, site.input_type.rank - 1
    axes = zip(site.input_type.sizes[1:], site.output_type.sizes[1:], strict=True)
    for axis, (n, results) in enumerate(axes):
        places = site.integers(f"places{axis}", [p for ((p, _),) in op.taps(axis, n, results)])
        if axis == last:
            site.emit("Gather", x, places, axis=2 + axis)
        else:
            x = site.step(f"axis{axis}", "Gather", x, places, axis=2 + axis)


LOWERINGS: Lowerings = {Upsample: _upsample, Resize: _resize}
