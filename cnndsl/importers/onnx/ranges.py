"""Which positions of an axis Slice and Split take."""

from __future__ import annotations

from cnndsl.importers.onnx.refusal import damaged
from cnndsl.importers.onnx.site import Site


def slice_of(start: int, end: int, step: int) -> slice:
    """Python's slice for one of ONNX, which leaves axes by ends that are far outside."""
    limit = 2**62
    if step < 0 and end < -limit:
        return slice(start if start < limit else None, None, step)
    return slice(start, end, step)


def slices(site: Site, rank: int) -> list[tuple[int, int, int, int]]:
    """Axis, start, end and step for each axis that a Slice is about."""
    if "starts" in site.step.attributes:
        starts, ends = site.integers("starts") or [], site.integers("ends") or []
        axes = site.integers("axes")
        steps = [1] * len(starts)
    else:
        starts, ends = site.whole_numbers(1), site.whole_numbers(2)
        axes = site.whole_numbers(3) if site.has(3) else None
        steps = site.whole_numbers(4) if site.has(4) else [1] * len(starts)
    axes = list(range(len(starts))) if axes is None else axes
    if not len(starts) == len(ends) == len(axes) == len(steps) or not all(steps):
        raise damaged("its starts, ends, axes and steps do not fit each other")
    return list(zip(site.checked_axes(axes, rank), starts, ends, steps, strict=True))


def split_sizes(site: Site, size: int) -> list[int]:
    """The lengths of the pieces of an axis."""
    given = site.integers("split") or (site.whole_numbers(1) if site.has(1) else None)
    if given is None:
        count = site.whole("num_outputs", len(site.step.outputs))
        if not 1 <= count <= size:
            raise damaged(f"{size} positions are split into {count}")
        piece = -(-size // count)
        given = [piece] * (count - 1) + [size - piece * (count - 1)]
    if sum(given) != size or any(n < 1 for n in given):
        raise damaged(f"{size} positions are split into {given[:20]}")
    return given
