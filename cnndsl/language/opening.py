"""Networks whose sizes stay open although the text gives them.

Inputs share an open size only where the network needs them to be equal. Where it does not take any
size, those at the distance of the smallest power of two that serves are open: `32*H`, or
`16*H + 12` if the text gives 572.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from cnndsl.diagnostics import CnnError, Diagnostic, Severity
from cnndsl.ir.dims import OpenDim, Symbol
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import AXES
from cnndsl.language.elaborate import Elaborated
from cnndsl.language.interface import Opened

STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Distances of open sizes that are tried."""
UNDECIDED = {"E0214", "E0301", "E0308", "E0309"}
"""Codes of errors that may go away if more is known of a size."""

Known: TypeAlias = Mapping[str, Mapping[str, int]]
"""The known sizes of each input, by axis."""


def open_graph(declared: Elaborated, axes: Collection[str]) -> Graph:
    """The graph with some axes of all inputs left open, and without training-only heads.

    It is the same graph where the text leaves them open already. Raises CnnError (E0617) if no
    input has such an axis, or the network needs a known size.
    """
    sizes = {name: _sizes(declared.graph, name, axes) for name in declared.graph.inputs}
    if not any(sizes.values()):
        if any(_has_axis(declared.graph, name, axes) for name in declared.graph.inputs):
            return declared.graph
        raise CnnError.of("E0617", f"no input has a known {' or '.join(axes)}")
    first = {str(known): name for name, known in reversed(sizes.items())}
    leaders = {name: first[str(known)] for name, known in sizes.items()}
    step, found = _smallest_step(declared, sizes, leaders, axes)
    for name in [name for name in sizes if leaders[name] != name]:
        apart = {**leaders, name: name}
        candidate = declared.opened(_opened(sizes, apart, step))
        if not candidate.findings:
            leaders, found = apart, candidate
    return found.graph


def _smallest_step(
    declared: Elaborated, sizes: Known, leaders: Mapping[str, str], axes: Collection[str]
) -> tuple[int, Elaborated]:
    """The smallest distance of open sizes with which there is no error, and the network then.

    Raises CnnError (E0617) with the error that there is if sizes may be any.
    """
    first = None
    for step in STEPS:
        found = declared.opened(_opened(sizes, leaders, step))
        errors = [d for d in found.findings if d.severity == Severity.ERROR]
        if not errors:
            return step, found
        first = first or errors[0]
        if errors[0].code not in UNDECIDED:
            break
    assert first is not None
    raise CnnError([_needed(first, axes)])


def _has_axis(graph: Graph, name: str, axes: Collection[str]) -> bool:
    """Whether an input has one of the axes, known or open."""
    spatial = graph[name].type.spatial
    return bool(spatial) and not set(AXES[len(spatial)]).isdisjoint(axes)


def _sizes(graph: Graph, name: str, axes: Collection[str]) -> dict[str, int]:
    """The known sizes of an input along some axes."""
    spatial = graph[name].type.spatial
    named = zip(AXES[len(spatial)], spatial, strict=True) if spatial else ()
    return {axis: size for axis, size in named if axis in axes and isinstance(size, int)}


def _opened(sizes: Known, leaders: Mapping[str, str], step: int) -> Opened:
    """`H` and `W`; with the name of the first input that has the size where there are several."""
    several = len({leaders[name] for name, known in sizes.items() if known}) > 1

    def opened(axis: str, name: str, size: int) -> OpenDim:
        symbol = f"{axis[0].upper()}_{leaders[name]}" if several else axis[0].upper()
        return OpenDim(((Symbol(symbol), step),), size % step)

    return {
        name: {axis: opened(axis, name, size) for axis, size in known.items()}
        for name, known in sizes.items()
    }


def _needed(error: Diagnostic, axes: Collection[str]) -> Diagnostic:
    return Diagnostic(
        "E0617",
        f"the network does not take any {' and '.join(axes)}: {error.message}",
        error.span,
        hint=error.hint,
        notes=error.notes,
        trail=error.trail,
    )
