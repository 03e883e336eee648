"""All that a page shows, as JSON-ready data."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from cnndsl import __version__
from cnndsl.analysis.cost import graph_cost
from cnndsl.analysis.fates import fates
from cnndsl.diagnostics import Source
from cnndsl.drawing.arena import arena_svg
from cnndsl.ir.graph import Graph
from cnndsl.ir.sizes import is_open
from cnndsl.memory import plan
from cnndsl.page.measured import ERRORS, TIMES, Data
from cnndsl.page.parts import Parts
from cnndsl.passes.pipeline import FUSIONS, PassRun, optimise


def page_data(
    graph: Graph, *, times: Data | None = None, errors: Data | None = None
) -> dict[str, Any]:
    """The texts, the graph as written and as optimised, the passes and the memory.

    `times` and `errors` are what `cnndsl bench` and `compare` measured of it, null if nothing is
    given. Raises CnnError (E0603) for those of another network.

    `graphs` have `rows` and `edges`, see `Parts`; `edges` is flat, source and target by turns.
    `memory` is an SVG, null if sizes are open.
    """
    measured = {
        "times": times and TIMES.of(times, graph),
        "errors": errors and ERRORS.of(errors, graph),
    }
    optimised, runs = optimise(graph, fusions=FUSIONS)
    texts: list[Source] = []
    graphs = {"written": _graph(graph, texts), "optimised": _graph(optimised, texts)}
    cost = graph_cost(graph)
    return {
        "name": graph.name,
        "version": __version__,
        "totals": {
            "nodes": len(graph),
            "params": cost.params,
            "macs": cost.macs,
            "bytes": cost.bytes,
        },
        "texts": [{"name": PurePath(t.name).name, "text": t.text} for t in texts],
        "graphs": graphs,
        "passes": [_pass(graph, run) for run in runs],
        "memory": None if is_open(graph) else arena_svg(optimised, plan(optimised)).decode(),
        **measured,
    }


def _graph(graph: Graph, texts: list[Source]) -> dict[str, Any]:
    parts = Parts(graph, texts)
    return {"rows": parts.rows, "edges": [end for edge in parts.edges for end in edge]}


def _pass(graph: Graph, run: PassRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "before": run.before,
        "after": run.after,
        "fates": [
            [row["fate"], row["node"], row["place"] and PurePath(row["place"]).name, row["text"]]
            for row in fates(graph, [run])
        ],
    }
