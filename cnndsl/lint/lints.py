"""All lints, and their remarks as findings with places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cnndsl.diagnostics import Diagnostic, Note, Span
from cnndsl.ir.graph import Graph, Node
from cnndsl.language.elaborate import Elaborated
from cnndsl.lint import asymmetric, bias_before_norm, bottleneck, lanes, rectified_residual
from cnndsl.lint.lint import Lint, Remark
from cnndsl.lint.selection import Selection

LINTS: dict[str, Lint] = {
    bottleneck.CODE: bottleneck.bottlenecks,
    asymmetric.CODE: asymmetric.asymmetric_kernels,
    rectified_residual.CODE: rectified_residual.rectified_residuals,
    lanes.CODE: lanes.wasted_lanes,
    bias_before_norm.CODE: bias_before_norm.biases_before_norms,
}


def lint(graph: Graph, selection: Selection, source: Elaborated | None = None) -> list[Diagnostic]:
    """The findings of the selected lints, one for each place, with what the first node there says.

    With the text that the graph was made of, a place is the innermost one in the network's file.
    """
    found: list[Diagnostic] = []
    for code, find in LINTS.items():
        if selection.takes(code):
            found += _at_places(code, find(graph), source)
    return found


def _at_places(
    code: str, remarks: Iterator[Remark], source: Elaborated | None
) -> Iterator[Diagnostic]:
    first: dict[tuple[Span | None, str], Diagnostic] = {}
    others: dict[tuple[Span | None, str], list[str]] = {}
    for remark in remarks:
        span, trail = _place(remark.node, source)
        key = (span, "" if span else remark.node.name)
        message = remark.message if span else f"{remark.node.name}: {remark.message}"
        if key not in first:
            first[key] = Diagnostic(code, message, span, remark.hint, trail=trail)
        else:
            others.setdefault(key, []).append(remark.node.name)
    for key, diagnostic in first.items():
        more = others.get(key, [])
        notes = (Note(f"so it is in {_counted(more)}"),) if more else ()
        yield replace(diagnostic, notes=notes)


def _counted(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more instances" if len(names) > 3 else shown


def _place(node: Node, source: Elaborated | None) -> tuple[Span | None, tuple[Note, ...]]:
    """Where a node is made: by itself, or by the innermost call of the network's own file.

    With the calls around the place, outermost first.
    """
    own = min(node.spans, key=lambda span: (span.source.name, span.start), default=None)
    if source is None or own is None:
        return own, ()
    parts = node.name.split(".")
    paths = [".".join(parts[:length]) for length in range(1, len(parts))]
    calls = [source.calls[path] for path in paths if path in source.calls]
    trail = [Note(f"in network {source.item.name.text}", source.item.name.span)]
    places = [*(call.span for call in calls), own]
    trail += [Note(f"block {call.block.name}", call.span) for call in calls]
    for depth in reversed(range(len(places))):
        if places[depth].source is source.unit.source:
            return places[depth], tuple(trail[: depth + 1])
    return own, tuple(trail)
