"""Gridding: stacked dilated convolutions that skip positions of their input.

A run is a chain of convolutions of stride 1 with nothing but pointwise operators between them, of
which at least one is dilated. Its rates r_1 ... r_n are hybrid, so that no position is skipped, if
they have no common divisor above 1 and M_2 <= K, the first kernel's size, with

    M_n = r_n,  M_i = max(M_{i+1} - 2 r_i, 2 r_i - M_{i+1}, r_i)

Source: Wang et al. (2018), Understanding convolution for semantic segmentation, section 3.2. The
criterion is meant for r_1 = 1. Where it fails although every position is seen, there is no warning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cnndsl.diagnostics import Diagnostic, Note, Span
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import POINT
from cnndsl.ir.operators.convolution import Conv

AXES = (" in depth", " vertically", " horizontally")


def gridding(graph: Graph) -> list[Diagnostic]:
    """A warning for each run that skips positions: W0206."""
    if not any(_is_dilated(graph[name]) for name in graph.nx):
        return []
    found: dict[tuple[Span | None, str], Diagnostic] = {}
    for run in _runs(graph):
        convs = [node.op for node in run if isinstance(node.op, Conv)]
        for axis, direction in enumerate(AXES[-run[-1].type.rank :]):
            layers = [(c.kernel[axis], c.dilation[axis]) for c in convs if c.kernel[axis] > 1]
            warning = _finding(run, layers, direction)
            if warning is not None:
                found.setdefault((warning.span, warning.message), warning)
                break
    return list(found.values())


def covered(layers: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """How many positions of its field a stack of (kernel, rate) sees, and the field's size."""
    seen = {0}
    for kernel, rate in layers:
        seen = {position + rate * tap for position in seen for tap in range(kernel)}
    return len(seen), max(seen) + 1


def is_hybrid(layers: Sequence[tuple[int, int]]) -> bool:
    """Whether the rates of (kernel, rate), first layer first, keep the rule above."""
    rates = [rate for _, rate in layers]
    gap = rates[-1]
    for rate in reversed(rates[1:-1]):
        gap = max(gap - 2 * rate, 2 * rate - gap, rate)
    return math.gcd(*rates) == 1 and gap <= layers[0][0]


def _finding(
    run: Sequence[Node], layers: Sequence[tuple[int, int]], direction: str
) -> Diagnostic | None:
    if len(layers) < 2 or is_hybrid(layers):
        return None
    seen, field = covered(layers)
    if seen == field:
        return None
    rates = [rate for _, rate in layers]
    common = math.gcd(*rates)
    reason = f"common divisor {common}" if common > 1 else "gaps between the rates are too wide"
    return Diagnostic(
        "W0206",
        f"the dilation rates {', '.join(map(str, rates))} leave a grid{direction} ({reason}): "
        f"{seen} of {field} positions of the field are seen",
        _place(run[-1]),
        hint="hybrid rates such as 1, 2, 5 see every position",
        notes=tuple(Note(f"rate {_rates(node)}: {node.name}", _place(node)) for node in run),
    )


def _rates(node: Node) -> str:
    assert isinstance(node.op, Conv)
    return "x".join(map(str, node.op.dilation))


def _place(node: Node) -> Span | None:
    return min(node.spans, key=lambda span: (span.source.name, span.start), default=None)


def _runs(graph: Graph) -> Iterator[list[Node]]:
    """The longest runs, first convolution first."""
    before: dict[str, list[Node]] = {}
    inner: set[str] = set()
    for node in graph.nodes():
        producers = graph.producers(node)
        if len(producers) != 1:
            continue
        run = before.get(producers[0].name, [])
        if _is_pointwise(graph, node):
            before[node.name] = run
        elif isinstance(node.op, Conv) and set(node.op.stride) == {1}:
            before[node.name] = [*run, node]
            inner |= {other.name for other in run}
    for node in graph.nodes():
        run = before.get(node.name, [])
        is_end = bool(run) and run[-1] is node and node.name not in inner
        if is_end and any(map(_is_dilated, run)):
            yield run


def _is_dilated(node: Node) -> bool:
    return isinstance(node.op, Conv) and max(node.op.dilation) > 1


def _is_pointwise(graph: Graph, node: Node) -> bool:
    """Whether each position depends on the same position of the operand alone."""
    windows = node.op.windows(graph.input_types(node))
    return windows is not None and set(windows) == {POINT}
