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
    conv1        7x7/2   64 112  1    -   -   -   -   -   -  2.7  34
    pool1        3x3/2   64  56  0    -   -   -   -   -   -    -   -
    conv2        -      192  56  2    -  64 192   -   -   -  112 360
    pool2        3x3/2  192  28  0    -   -   -   -   -   -    -   -
    inception_3a -      256  28  2   64  96 128  16  32  32  159 128
    inception_3b -      480  28  2  128 128 192  32  96  64  380 304
    pool3        3x3/2  480  14  0    -   -   -   -   -   -    -   -
    inception_4a -      512  14  2  192  96 208  16  48  64  364  73
    inception_4b -      512  14  2  160 112 224  24  64  64  437  88
    inception_4c -      512  14  2  128 128 256  24  64  64  463 100
    inception_4d -      528  14  2  112 144 288  32  64  64  580 119
    inception_4e -      832  14  2  256 160 320  32 128 128  840 170
    pool4        3x3/2  832   7  0    -   -   -   -   -   -    -   -
    inception_5a -      832   7  2  256 160 320  32 128 128 1072  54
    inception_5b -     1024   7  2  384 192 384  48 128 128 1388  71
    avgpool      -     1024   -  0    -   -   -   -   -   -    -   -
    fc           -     1000   -  1    -   -   -   -   -   - 1000   1
"""
"""Szegedy et al. (2015), table 1: kernel and stride, channels, size, depth, filters, parameters in
units of 1,024, millions of operations. Its 3x3/1 of the second convolution is that of one of two;
the average is of 7x7, which is the whole map; dropout and softmax are no rows here."""

UNEXPLAINED = {"inception_4c": 0.07, "inception_5a": 0.06}
"""Modules whose printed parameters are further from what their printed filters have than the 2 %
of the others, and by how much. The printed operations of 5a follow from its printed parameters."""


def rows_of(name, depth=1):
    return {row.name: row for row in modules(cnndsl.parse(name).graph, depth)}


def test_googlenet_is_table_1():
    """Parameters are weights alone, as 112 x 1,024 in the second row and 1,000 x 1,024 in the last.

    The first row is counted as if its kernels were 7x1 and 1x7 of one channel: 2 x 7 x 64 x 3.
    """
    rows = rows_of("googlenet")
    for line in TABLE_1.split("\n")[1:-1]:
        name, window, channels, size, depth, *others = line.split()
        row, (*filters, params, operations) = rows[name], others
        shape = (int(channels), *([int(size)] * 2 if size != "-" else []))
        assert [kind.shape for kind in row.outputs] == [shape], name
        found = row.kernel and f"{'x'.join(map(str, row.kernel))}/{row.stride[0]}"
        assert (found or "-", row.depth) == (window, int(depth)), name
        assert row.filters == {
            column: [int(n)] for column, n in zip(COLUMNS, filters, strict=True) if n != "-"
        }, name
        if params == "-":
            assert (row.params, row.macs) == (0, 0)
            continue
        biases = sum(sum(n) for n in row.filters.values()) or int(channels)
        weights, macs = (row.params - biases) / 1024, row.macs / 1e6
        if name == "conv1":
            assert weights == 64 * 7 * 7 * 3 / 1024
            weights = 2 * 7 * 64 * 3 / 1000
            macs = weights * 112 * 112 / 1e3
        if name == "inception_5a":
            assert macs == pytest.approx(51, abs=1)
            macs = float(params) * 1024 * 7 * 7 / 1e6
        assert float(params) == pytest.approx(weights, rel=UNEXPLAINED.get(name, 0.02)), name
        assert macs == pytest.approx(float(operations), abs=1), name


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
