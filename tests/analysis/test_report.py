import json
import re
from io import StringIO

import pytest
from rich.console import Console

import cnndsl
from cnndsl.analysis.report import report
from cnndsl.analysis.summary import print_overview, summary
from cnndsl.analysis.tree import Block, block_tree, result_types
from cnndsl.diagnostics import Source, Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Auxiliary
from cnndsl.ir.operators import Conv, FullyConnected, GlobalAvgPool, Relu
from tests.analysis.sketch import Sketch, chain, put, residual, start


def test_report_of_a_small_network():
    source = Source("small.cnn", "network small {\n  conv(4, 3)\n}")
    graph, x = start((3, 8, 8), "small")
    span = Span(source, 18, 28)
    x = put(graph, "conv", Conv(4, (3,)), x, spans=frozenset({span}))
    graph.stages.append(("conv", "conv"))
    x = chain(graph, "", x, GlobalAvgPool())
    graph.stages.append(("pool", x.name))
    graph.outputs["features"] = x.name
    head = put(graph, "head", FullyConnected(2), x)
    graph.auxiliaries["early"] = Auxiliary(head.name, 0.3)
    found = report(Sketch("small", graph, "abc"))
    assert json.loads(json.dumps(found)) == found
    assert found["stages"] == [["conv", 4, 8, 8], ["pool", 4, 1, 1]]
    assert found["inputs"] == [{"name": "image", "shape": [3, 8, 8]}]
    assert found["outputs"] == [{"name": "features", "node": x.name, "shape": [4]}]
    assert found["auxiliaries"] == [{"name": "early", "node": "head", "weight": 0.3, "shape": [2]}]
    assert (found["params"], found["macs"]) == (112 + 10, 6912 + 8)
    conv = found["nodes"][1]
    assert conv["source"] == "small.cnn:2:3"
    assert conv["inputs"] == ["image"]
    assert conv["attributes"]["pad"] == [[1, 1], [1, 1]]
    assert (conv["shape"], conv["params"], conv["macs"], conv["bytes"]) == (
        [4, 8, 8],
        112,
        6912,
        1024,
    )
    assert found["receptive_fields"] == [
        {"stage": "conv", "size": [3, 3], "stride": [1, 1], "padding": [1, 1]},
        {"stage": "pool", "size": None, "stride": None, "padding": None},
    ]


def test_stages_of_other_ranks_and_open_sizes():
    for shape, row in [
        ((2, 9), ["end", 2, 9]),
        ((2, 5, 6, 7), ["end", 2, 5, 6, 7]),
        ((2, OpenDim.symbol("H"), 4), ["end", 2, "H", 4]),
    ]:
        graph, x = start(shape)
        graph.stages.append(("end", put(graph, "relu", Relu(), x).name))
        assert report(Sketch("any", graph))["stages"] == [row]


def test_blocks_add_up_and_stand_in_order():
    sketch = residual()
    tree = block_tree(sketch.graph)
    names = [child.path for child in tree.children]
    assert names[4:7] == ["pool", "stage1", "stage2"]
    stage = tree.children[5]
    assert isinstance(stage, Block)
    assert [(part.path, part.kind) for part in stage.children] == [
        ("stage1.0", "bottleneck"),
        ("stage1.1", "bottleneck"),
    ]
    assert stage.cost.params == sum(part.cost.params for part in stage.children)
    assert [str(t) for t in result_types(sketch.graph, stage)] == ["64x16x16"]
    assert sum(1 for _ in tree.nodes()) == len(sketch.graph)


def test_summary_is_plain_text_that_loses_nothing():
    text = summary(residual().graph, 3)
    assert "\x1b" not in text
    assert "…" not in text
    assert re.search(r"^│  ├─ 0 +bottleneck +12 ", text, re.MULTILINE)
    assert "55,130 parameters" in text
    assert all(line == line.rstrip() for line in text.splitlines())
    shallow = summary(residual().graph, 1)
    assert "stage1" in shallow
    assert "bottleneck" not in shallow


@pytest.mark.parametrize("name", ["resnet50", "inception_v3", "googlenet"])
def test_overview_fits_a_terminal(name):
    graph = cnndsl.parse(name).graph
    lines, rows = ([line.rstrip() for line in printed(graph, w)] for w in (80, 1000))
    assert max(map(len, lines)) <= 80
    assert not any(line.startswith(("│  …", "├─ …")) for line in lines)
    tree = [[line for line in page if line[0:1] in ("├", "│", "└")] for page in (lines, rows)]
    assert len(tree[0]) == len(tree[1])
    assert [line.split()[-2:] for line in tree[0]] == [line.split()[-2:] for line in tree[1]]


@pytest.mark.parametrize("width", [20, 40, 60, 70])
def test_a_narrow_page_cuts_words_but_no_numbers(width):
    graph = cnndsl.parse("googlenet").graph
    numbers = [numbers_of(line) for line in rows_of(graph, 999)]
    shown = rows_of(graph, width)
    for line, wanted in zip(shown, numbers, strict=True):
        assert numbers_of(line) == wanted
        assert re.match("[│├└─ ]*[a-z0-9]", line)


def numbers_of(line):
    return re.split(" {2,}", line.strip("│├└─ "))[2:]


def rows_of(graph, width):
    return [line for line in printed(graph, width) if line[:1] in ("├", "│", "└")]


def test_summary_is_text_in_a_notebook_too(monkeypatch):
    graph = residual().graph
    expected = summary(graph)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert summary(graph) == expected != ""


def printed(graph, width):
    page = StringIO()
    print_overview(graph, 2, Console(file=page, width=width, color_system=None))
    return page.getvalue().splitlines()


def test_summary_golden():
    graph, x = start((3, 8, 8), "tiny")
    x = chain(graph, "", x, Conv(4, (3,)), Relu())
    graph.stages.append(("stem", x.name))
    graph.scopes["head"] = "classifier"
    x = chain(graph, "head.", x, GlobalAvgPool(), FullyConnected(5))
    graph.outputs["scores"] = x.name
    assert (
        summary(graph)
        == """\
tiny  image 3x8x8 -> scores 5

block                  kind            nodes  output  params    MACs    bytes
─────────────────────────────────────────────────────────────────────────────
├─ image               input                   3x8x8                    768 B
├─ conv0               conv 3×3, 4             4x8x8     112  6.91 k  1.02 kB
├─ relu1               relu                    4x8x8                  1.02 kB
└─ head                classifier          2       5      25      20     36 B
   ├─ global_avgpool0  global_avgpool              4                     16 B
   └─ fc1              fc 5                        5      25      20     20 B

stage      made by      output  receptive field  stride  padding
────────────────────────────────────────────────────────────────
stem       relu1         4x8x8                3       1        1

5 nodes · 137 parameters · 6,932 MACs · 548 B of weights · 2.85 kB of activations"""
    )
