"""What passes did to the nodes of a network, and why not, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cnndsl.analysis.report import first_span
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import PassRun


def fates(graph: Graph, runs: Iterable[PassRun]) -> Iterator[dict[str, Any]]:
    """All fates in the order of the nodes of the graph that the passes were given.

    `place` is the line of the node in the source, None for a node that a pass made; `fate` is
    `done` or `left`, `text` what was done, or why nothing was.
    """
    found = [
        (fate, word)
        for run in runs
        for word, some in (("done", run.report.matched), ("left", run.report.rejected))
        for fate in some
    ]
    order = {node.name: index for index, node in enumerate(graph.nodes() if found else ())}
    for fate, word in sorted(found, key=lambda pair: order.get(pair[0].node, len(order))):
        place = _place(graph, fate.node)
        yield {"place": place, "node": fate.node, "fate": word, "text": fate.text}


def _place(graph: Graph, name: str) -> str | None:
    span = first_span(graph[name]) if name in graph else None
    return None if span is None else f"{span.source.name}:{span.line}"
