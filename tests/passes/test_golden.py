"""Networks in golden/: the fates that the passes of the first line give, and the graph after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.ir.text import graph_text
from cnndsl.passes.pipeline import LEVELS, PassRun, optimise, passes
from tests.passes.values import nasty_values

CASES = sorted(Path(__file__).with_name("golden").glob("*.cnn"))


def run_case(case: Path) -> tuple[Graph, Graph, list[PassRun]]:
    """The graph before and after the passes that the case names."""
    named = case.read_text().splitlines()[0].removeprefix("# passes: ").split(", ")
    disable = [step.name for step in passes() if step.name not in named]
    graph = cnndsl.parse(case).graph
    optimised, runs = optimise(graph, max(LEVELS), disable=disable, verify=True)
    assert {run.name for run in runs} == set(named)
    return graph, optimised, runs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_fates_and_graph(case: Path, golden: Callable[[Path, str], None]) -> None:
    _, optimised, runs = run_case(case)
    fates = [
        f"{sign} {run.name}: {fate.node}: {fate.text}\n"
        for run in runs
        for sign, found in (("+", run.report.matched), ("-", run.report.rejected))
        for fate in found
    ]
    golden(case.with_suffix(".txt"), "".join(fates) + "\n" + graph_text(optimised))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_outputs_are_kept(case: Path) -> None:
    graph, optimised, _ = run_case(case)
    values = nasty_values(graph, seed=1)
    rng = np.random.default_rng(2)
    sizes = {name: graph[name].type.shape for name in graph.inputs}
    inputs = {
        name: rng.normal(size=(2, *(n if isinstance(n, int) else 17 for n in shape)))
        for name, shape in sizes.items()
    }
    expected = run_graph(graph, values, inputs)
    found = run_graph(optimised, values, inputs)
    assert found.keys() == expected.keys() - graph.auxiliaries.keys()
    for name, array in found.items():
        error = np.abs(array - expected[name]).max()
        assert error <= 1e-9 * max(1, np.abs(expected[name]).max())
