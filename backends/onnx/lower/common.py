"""What the lowerings of several families share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from cnndsl.backends.onnx.emitter import Site
from cnndsl.ir.algebra import along
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.operator import Operator
from cnndsl.ir.windows import Pads

Lowering: TypeAlias = Callable[[Site, Any], None]
"""Writes the ONNX nodes of one graph node at its site; the operator is the second argument."""

INT64_MAX = 2**63 - 1
"""As the end of a slice: to the end of the axis."""

Lowerings: TypeAlias = dict[type[Operator], Lowering]


def native(kind: str, **attributes: Any) -> Lowering:
    """The lowering of an operator that ONNX has, with fixed attributes."""

    def lower(site: Site, op: Operator) -> None:
        site.emit(kind, *site.inputs, **attributes)

    return lower


def per_channel(site: Site, role: str) -> str:
    """A parameter [channels] as [channels, 1, ...], which broadcasts over batch and positions."""
    return site.expression(role, along(site.params[role], 0, site.part.inputs[0].rank + 1))


def onnx_pads(pads: Pads) -> list[int]:
    """Padding in the order of ONNX: all befores, then all afters."""
    return [before for before, _ in pads] + [after for _, after in pads]


def pad_spatial(site: Site, tensor: str, pads: Pads, value: float = 0.0) -> str:
    """The tensor with explicit padding; the tensor itself if there is none."""
    if not any(onnx_pads(pads)):
        return tensor
    counts = site.integers("pads", onnx_pads(((0, 0), (0, 0), *pads)))
    number = site.floats("pad_value", value)
    return site.step("pad", "Pad", tensor, counts, number, mode="constant")


def fixed_shape(sizes: Sequence[Dim]) -> list[int] | None:
    """Sizes as Reshape takes them as a constant, an open one as -1; None if several are open."""
    shape = [-1 if isinstance(size, OpenDim) else size for size in sizes]
    return shape if shape.count(-1) <= 1 else None


def spatial_sizes(site: Site, role: str, tensor: str) -> str:
    """The spatial sizes of a tensor, as a tensor."""
    shape = site.step(f"{role}_shape", "Shape", tensor)
    start, end = site.integers(f"{role}_start", [2]), site.integers(f"{role}_end", [INT64_MAX])
    return site.step(role, "Slice", shape, start, end)


def sized(site: Site, role: str, sizes: Sequence[Dim]) -> str:
    """A shape, open sizes in it computed from those of the inputs."""
    if any(isinstance(size, OpenDim) for size in sizes):
        return site.step(role, "Concat", *map(site.size, sizes), axis=0)
    return site.integers(role, [size for size in sizes if isinstance(size, int)])


def shape_with(site: Site, role: str, head: Sequence[int], spatial: str) -> str:
    """A shape for Reshape: known sizes, then those in the tensor `spatial`."""
    return site.step(role, "Concat", site.integers(f"{role}_head", head), spatial, axis=0)
