"""The table of the blocks: rows, columns of filters, and its forms."""

import csv
from io import StringIO

import pytest

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.analysis.module_forms import FORMS
from cnndsl.analysis.modules import modules, whole
from cnndsl.analysis.report import modules_report

COLUMNS = ("#1x1", "#3x3 reduce", "#3x3", "#5x5 reduce", "#5x5", "pool proj")

TABLE_1 = """
    inception_3a 256 28  2   64  96 128  16  32  32  159 128
    inception_3b 480 28  2  128 128 192  32  96  64  380 304
    inception_4a 512 14  2  192  96 208  16  48  64  364  73
    inception_4b 512 14  2  160 112 224  24  64  64  437  88
    inception_4c 512 14  2  128 128 256  24  64  64  463 100
    inception_4d 528 14  2  112 144 288  32  64  64  580 119
    inception_4e 832 14  2  256 160 320  32 128 128  840 170
    inception_5a 832  7  2  256 160 320  32 128 128 1072  54
    inception_5b 1024 7  2  384 192 384  48 128 128 1388  71
"""
"""Szegedy et al. (2015), table 1: channels, size, depth, filters, thousands of parameters, millions
of operations."""


def rows_of(name, depth=1):
    return {row.name: row for row in modules(cnndsl.parse(name).graph, depth)}


def test_googlenet_is_table_1():
    rows = rows_of("googlenet")
    for line in TABLE_1.split("\n")[1:-1]:
        module, *numbers = line.split()
        channels, size, depth, *filters, params, operations = map(int, numbers)
        row = rows[module]
        assert row.kind == "inception"
        assert [kind.shape for kind in row.outputs] == [(channels, size, size)]
        assert row.depth == depth
        assert row.filters == {name: [n] for name, n in zip(COLUMNS, filters, strict=True)}
        # The paper's parameters follow from its filters no closer than this; nor do those
        # operations of 5a, which has the filters of 4e on a quarter of the positions.
        assert row.params / 1000 == pytest.approx(params, rel=0.11)
        if module != "inception_5a":
            assert row.macs / 1e6 == pytest.approx(operations, abs=1)


def test_the_other_rows_of_googlenet():
    rows = rows_of("googlenet")
    assert list(rows) == [
        *("conv1", "pool1", "lrn1", "conv2", "lrn2", "pool2", "inception_3a", "inception_3b"),
        *("pool3", *(f"inception_4{letter}" for letter in "abcde"), "pool4"),
        *("inception_5a", "inception_5b", "avgpool", "fc"),
    ]
    windows = {name: (row.kernel, row.stride) for name, row in rows.items() if row.kernel}
    assert windows == {
        "conv1": ((7, 7), (2, 2)),
        **{f"pool{k}": ((3, 3), (2, 2)) for k in range(1, 5)},
    }
    assert rows["conv2"].depth == 2
    assert rows["conv2"].filters == {"#3x3 reduce": [64], "#3x3": [192]}
    assert rows["conv2"].macs / 1e6 == pytest.approx(360, abs=1)
    assert (rows["fc"].params, rows["fc"].macs) == (1_025_000, 1_024_000)
    assert {row.depth for name, row in rows.items() if "pool" in name or "lrn" in name} == {0}


def test_resnet50_is_table_1():
    """He et al. (2016), table 1: blocks of 1x1, 3x3 and 1x1; the shortcuts are 1x1 as well."""
    rows = rows_of("resnet50")
    for stage, (count, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=2):
        row = rows[f"conv{stage}_x"]
        assert row.depth == 3 * count
        assert row.filters == {
            "#3x3 reduce": [width] * count,
            "#3x3": [width] * count,
            "#1x1": [4 * width] * (count + 1),
        }


def test_mobilenet_v2_expands():
    """Sandler et al. (2018), table 2: t = 6 and 24 channels."""
    row = rows_of("mobilenet_v2")["inverted_residual3"]
    assert row.filters == {"#3x3 dw expand": [144], "#3x3 dw": [144], "#1x1": [24]}


NESTED = """\
network nested {
    input image [4, H, 8]
    a: { b: { conv(6, 3) -> relu } -> c: { conv(8, 1) -> bn } }
    relu
    two: concat { conv(2, 1) | avgpool(3, stride=1, pad=1) -> conv(3, 1) }
    head: { fc(7) -> relu -> fc(5) }
}
"""


def test_depth_chooses_the_level():
    graph = cnndsl.parse(NESTED.replace("H", "8")).graph
    assert modules(graph)[0].name == "a"
    names = [row.name for row in modules(graph, 2)]
    assert names[:2] == ["a.b", "a.c"]
    by_name = {row.name: row for row in modules(graph)}
    assert by_name["a"].filters == {"#3x3": [6], "#1x1": [8]}
    assert by_name["head"].filters == {"#fc": [7, 5]}
    assert by_name["head"].depth == 2
    for depth in (1, 2, 9):
        rows = modules(graph, depth)
        total, cost = whole(graph, rows), graph_cost(graph)
        assert (total.params, total.macs, total.depth) == (cost.params, cost.macs, 5)


def test_an_open_size_has_no_number_of_operations():
    text = NESTED.replace("    head: { fc(7) -> relu -> fc(5) }\n", "")
    graph = cnndsl.parse(text).graph
    assert modules(graph)[0].macs is None
    report = modules_report(graph)
    assert report["total"]["macs"] is None
    assert report["blocks"][0]["outputs"] == [[8, "H", 8]]
    *rows, total = csv.DictReader(StringIO(FORMS["csv"](graph)))
    assert rows[0]["MACs"] == total["MACs"] == "?"


def test_the_columns_stand_in_the_order_of_the_paper():
    text = FORMS["csv"](cnndsl.parse("googlenet").graph)
    head, *rows = csv.reader(StringIO(text))
    assert tuple(head[6:-2]) == COLUMNS
    assert all(len(row) == len(head) for row in rows)
    assert rows[-1] == ["total", *[""] * 3, "1000", "22", *[""] * 6, "6998552", "1582671872"]


def test_equal_filters_are_counted():
    text = FORMS["csv"](cnndsl.parse("resnet50").graph)
    rows = {row["block"]: row for row in csv.DictReader(StringIO(text))}
    assert rows["conv4_x"]["#3x3"] == "6 of 256"


def test_latex_and_markdown_show_sizes():
    graph = cnndsl.parse("googlenet").graph
    assert r"& \#3$\times$3 reduce &" in FORMS["latex"](graph)
    assert "| 64 | 96 | 128 | 16 | 32 | 32 | 163,696 |" in FORMS["markdown"](graph)
