"""Networks whose sizes stay open although the text gives them.

Inputs share an open size only where the network needs them to be equal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cnndsl.diagnostics import CnnError, Diagnostic, Severity
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import AXES
from cnndsl.language.elaborate import Elaborated
from cnndsl.language.interface import Opened


def open_graph(declared: Elaborated, axes: Collection[str]) -> Graph:
    """The graph with some axes of all inputs left open, and without training-only heads.

    Raises CnnError (E0617) if no input has such an axis, or the network needs a known size.
    """
    sizes = {name: _sizes(declared.graph, name, axes) for name in declared.graph.inputs}
    if not any(sizes.values()):
        raise CnnError.of("E0617", f"no input has a known {' or '.join(axes)}")
    first = {str(known): name for name, known in reversed(sizes.items())}
    leaders = {name: first[str(known)] for name, known in sizes.items()}
    found = declared.opened(_opened(sizes, leaders))
    errors = [d for d in found.findings if d.severity == Severity.ERROR]
    if errors:
        raise CnnError([_needed(errors[0], axes)])
    for name in [name for name in sizes if leaders[name] != name]:
        apart = {**leaders, name: name}
        candidate = declared.opened(_opened(sizes, apart))
        if not candidate.findings:
            leaders, found = apart, candidate
    return found.graph


def _sizes(graph: Graph, name: str, axes: Collection[str]) -> dict[str, int]:
    """The known sizes of an input along some axes."""
    spatial = graph[name].type.spatial
    named = zip(AXES[len(spatial)], spatial, strict=True) if spatial else ()
    return {axis: size for axis, size in named if axis in axes and isinstance(size, int)}


def _opened(sizes: Mapping[str, Mapping[str, int]], leaders: Mapping[str, str]) -> Opened:
    """`H` and `W`; with the name of the first input that has the size where there are several."""
    several = len({leaders[name] for name, known in sizes.items() if known}) > 1
    return {
        name: {
            axis: f"{axis[0].upper()}_{leaders[name]}" if several else axis[0].upper()
            for axis in known
        }
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
