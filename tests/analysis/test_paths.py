"""The paths through a network, against a walk along all of them and published numbers."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from io import StringIO

import pytest

import cnndsl
from cnndsl.analysis.layers import weighted_depth
from cnndsl.analysis.path_forms import BARS, as_text
from cnndsl.analysis.paths import Paths, paths
from cnndsl.cli.main import main
from cnndsl.ir.graph import Graph, Node

BLOCKS = """
block unit(width) {
    mul { add { conv(width, 3) -> relu -> conv(width, 3) | identity | conv(width, 1) }
        | global_avgpool -> fc(width) -> sigmoid }
}
"""
NETS = {
    "chain": "conv(4, 3) -> relu -> conv(4, 3, weight=[[1]]) -> fc(2)",
    "units": "conv(4, 3) -> repeat 3 { unit(4) } -> global_avgpool -> fc(2)",
    "twice": "let a = conv(4, 3)\n add { a | a | identity -> conv(4, 3) }",
    "dense": "repeat 4 { concat { identity | bn -> relu -> conv(2, 3) } }",
    "outputs": "output y = conv(4, 1) -> conv(4, 1)\n output z = add { y | conv(4, 1) }",
    "no layer": "add { relu | identity }",
    "head": "conv(4, 3)\n auxiliary side(weight=0.3) = conv(4, 3) -> conv(4, 3)\n fc(2)",
    "constant": "add { identity | parameter([4, 6, 6]) }",
    "nothing": "output y = parameter([4, 6, 6])",
}


def graph_of(name: str) -> Graph:
    text = NETS[name].replace("weight=[[1]]", "weight=[[0, 1, 0], [1, 1, 1], [0, 1, 0]]")
    return cnndsl.parse(f"{BLOCKS} network n {{ input image [4, 6, 6]\n {text} }}").graph


def walked(graph: Graph) -> Counter[int]:
    """The number of paths by length: all of them are walked, backwards."""
    learned = graph.parameters()
    found: Counter[int] = Counter()

    def walk(node: Node, length: int) -> None:
        length += f"{node.name}.weight" in learned and node.op.name in ("conv", "fc")
        if node.name in graph.inputs:
            found[length] += 1
        for producer in graph.producers(node):
            walk(producer, length)

    for name in graph.outputs.values():
        walk(graph[name], 0)
    return found


@pytest.mark.parametrize("name", NETS)
def test_all_paths_are_counted(name: str) -> None:
    graph = graph_of(name)
    found = paths(graph)
    expected = walked(graph)
    assert {n: found.counts[n] for n in found.lengths} == dict(expected)
    if not found.total:
        return
    every = sorted(expected.elements())
    mean = sum(every) / len(every)
    assert found.mean == pytest.approx(mean)
    assert found.deviation == pytest.approx(
        math.sqrt(sum((length - mean) ** 2 for length in every) / len(every)), abs=1e-12
    )
    low, high = found.most
    assert sum(length < low for length in every) <= 0.025 * len(every)
    assert sum(length > high for length in every) <= 0.025 * len(every)
    assert found.lengths[-1] == weighted_depth(graph)


def test_residual_units_make_binomial_paths() -> None:
    """54 units of two convolutions, or none; before them a convolution, behind them the last layer.

    Veit et al. (2016), section 5: over 95 % of the paths go through 19 to 35 units.
    """
    found = paths(cnndsl.parse("resnet110_cifar").graph)
    assert found.total == 2**54
    assert [found.counts[2 + 2 * k] for k in range(55)] == [math.comb(54, k) for k in range(55)]
    assert (found.lengths[-1], found.survivals) == (110, ())
    assert sum(found.counts[2 + 2 * k] for k in range(19, 36)) > 0.95 * 2**54


def test_expected_depth_under_stochastic_depth() -> None:
    """Huang et al. (2016), section 3: E(L) = 40.25 of 54 units if the last survives with 0.5."""
    found = paths(cnndsl.parse("resnet110_stochastic_depth").graph)
    assert (len(found.survivals), found.expected_units) == (54, pytest.approx(40.25, abs=1e-12))
    text = "add { identity | conv(3, 1) -> drop_path(0.25) }"
    assert paths(cnndsl.parse(f"network n {{ input x [3, 4, 4]\n {text} }}").graph).survivals == (
        0.75,
    )


def test_more_digits_than_python_writes_unasked() -> None:
    assert "2.818e4515 paths" in as_text(Paths((2**15000,)))  # 15000 log10(2) = 4515.45


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    name = "resnet110_stochastic_depth"

    def printed(*options: str) -> str:
        assert main(["inspect", name, "--paths", *options]) == 0
        return capsys.readouterr().out

    text = printed()
    assert "18,014,398,509,481,984 paths" in text
    assert "40.25 of 54 units" in text
    found = json.loads(printed("--json"))
    assert (found["paths"], found["longest"]) == (2**54, 110)
    rows = list(csv.DictReader(StringIO(printed("--format", "csv"))))
    assert sum(int(row["paths"]) for row in rows) == 2**54
    assert [int(row["length"]) for row in rows] == [row["length"] for row in found["lengths"]]
    table = printed("--format", "markdown").splitlines()
    assert len(table) == 2 + len(rows)
    assert table[2] == "| 2 | 1 | 0.00% |"
    assert printed("--format", "latex").count(r"\\") == 1 + len(rows)


def test_long_histograms_share_bars() -> None:
    found = Paths(tuple(range(1, 1000)))
    lines = as_text(found).splitlines()[5:]
    assert 1 < len(lines) <= BARS
    counts = [int(line.split()[1].replace(",", "")) for line in lines]
    assert sum(counts) == found.total


def test_there_may_be_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"network n {{ input image [4, 6, 6]\n {NETS['nothing']} }}"
    for options in ([], ["--json"], ["--format", "csv"], ["--format", "markdown"]):
        assert main(["inspect", text, "--paths", *options]) == 0
    capsys.readouterr()
