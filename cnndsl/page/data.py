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
from cnndsl.language.loader import load_unit
from cnndsl.language.tokens import KINDS, tokens
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

    `texts` have `words`, three numbers each: how many UTF-16 units stand before it, since the word
    before, and in it, and which of `kinds` it is.
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
        "texts": [_text(source) for source in texts],
        "kinds": KINDS,
        "graphs": graphs,
        "passes": [_pass(graph, run) for run in runs],
        "memory": None if is_open(graph) else arena_svg(optimised, plan(optimised)).decode(),
        **measured,
    }


def _text(source: Source) -> dict[str, Any]:
    text, coloured, end = source.text, [], 0
    for token in tokens(text, load_unit(source)):
        gap, word = _units(text[end : token.start]), _units(text[token.start : token.end])
        coloured += [gap, word, KINDS.index(token.kind)]
        end = token.end
    return {"name": PurePath(source.name).name, "text": text, "words": coloured}


def _units(text: str) -> int:
    """How long a browser finds a text."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


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
