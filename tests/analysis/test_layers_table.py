"""The table of the layers: rows, depth, and its forms."""

import csv
import json
import math
import re
from io import StringIO
from pathlib import Path

import pytest

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.analysis.layer_forms import FORMS
from cnndsl.analysis.layers import layers, weighted_depth, whole_network

DATA = Path(__file__).parents[1] / "data" / "networks.json"
FACTS = {entry["name"]: entry for entry in json.loads(DATA.read_text())["networks"]}

OPEN = """\
network open_net(classes=4) {
    input image [3, H, W]
    normalize(0.5, 0.25)
    a: conv(6, 3, dilation=2, bias=false)
    bn -> relu
    b_1: concat { conv(6, 1) | identity | sigmoid }
    prelu
    c: conv(6, [1, 3], pad=[0, [1, 2]])
    dropout -> silu
    global_avgpool -> fc(classes)
    softmax
}
"""


@pytest.mark.parametrize("name", ["lenet5_paper", "alexnet_ungrouped", "alexnet_grouped"])
def test_weights_and_biases_of_the_papers(name):
    """By stage: the trained subsampling of LeNet-5 is two operators."""
    graph = cnndsl.parse(name).graph
    rows = layers(graph)
    for published, weights, biases in FACTS[name]["param_rows"]:
        stage = published.split("(")[0]
        found = [row for row in rows if row.name.split(".")[0] == stage]
        assert found, stage
        assert sum(row.weights for row in found) == weights
        assert sum(row.biases for row in found) == biases
    for stage, *sizes in FACTS[name]["stages"]:
        last = [row for row in rows if row.name.split(".")[0] == stage.split("(")[0]][-1]
        (output,) = last.outputs
        assert [*output.shape, 1, 1][:3] == sizes
    total = whole_network(graph)
    assert total.weights + total.biases == FACTS[name]["params_total"]
    assert total.macs == FACTS[name]["macs_conv_fc"]


def test_vgg16_is_configuration_d():
    """Simonyan and Zisserman (2015), table 1; 138 M parameters in table 2."""
    graph = cnndsl.parse("vgg16").graph
    rows = [(row.kind, row.filters, row.kernel, row.activation) for row in layers(graph)]
    expected = []
    for count, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        expected += [("conv", filters, (3, 3), "relu")] * count
        expected.append(("maxpool", None, (2, 2), None))
    expected += [("fc", 4096, None, "relu")] * 2 + [("fc", 1000, None, "softmax")]
    assert rows == expected
    total = whole_network(graph)
    assert (total.weights, total.biases) == (138_344_128, 13_416)
    assert total.weights == 64 * 27 + 9 * sum(
        a * b
        for a, b in [
            *((64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)),
            *((256, 512), *((512, 512),) * 5),
        ]
    ) + 4096 * (512 * 49 + 4096 + 1000)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        *(("vgg11", 133), ("vgg11_lrn", 133), ("vgg13", 133)),
        *(("vgg16_c", 134), ("vgg16", 138), ("vgg19", 144)),
    ],
)
def test_vgg_is_table_2(name, millions):
    """Simonyan and Zisserman (2015): configurations A, A-LRN, B, C, D, E."""
    total = whole_network(cnndsl.parse(name).graph)
    assert round((total.weights + total.biases) / 1e6) == millions


def test_lenet_has_the_connections_of_the_paper():
    """LeCun et al. (1998), section II.B: trainable parameters and connections of each layer.

    A connection is a multiplication or a bias; a subsampling adds four and scales their sum.
    """
    printed = {
        "C1": (156, 122_304), "S2": (12, 5_880), "C3": (1_516, 151_600), "S4": (32, 2_000),
        "C5": (48_120, 48_120), "F6": (10_164, 10_164), "OUTPUT": (0, 84 * 10),
    }  # fmt: skip
    found = {}
    for row in layers(cnndsl.parse("lenet5_paper").graph):
        (output,), (operand, *_) = row.outputs, row.inputs
        results = math.prod(output.shape)
        positions = math.prod(output.shape[1:])
        connections = {
            "avgpool": math.prod(row.kernel or ()) * results,
            "affine": results,
            "rbf": results * math.prod(operand.shape),
        }.get(row.kind, (row.macs or 0) + row.biases * positions)
        stage = row.name.split(".")[0]
        params, known = found.get(stage, (0, 0))
        found[stage] = (params + row.weights + row.biases, known + connections)
    assert found == printed
    assert sum(connections for _, connections in found.values()) == 340_908
    assert sum(params for params, _ in found.values()) == 60_000


def test_alexnet_is_figure_2():
    """Krizhevsky et al. (2012), section 3.5 and figure 2: kernels, strides and neurons.

    The 253,440 neurons that it prints behind the first layer are 2 x 48 x 55 x 48, not the
    2 x 48 x 55 x 55 of its own drawing; inputs of 224 do not give 55, those of 227 do.
    """
    rows = {row.name: row for row in layers(cnndsl.parse("alexnet_grouped").graph) if row.filters}
    kernels = {
        "conv1": (96, 11, 3, 4), "conv2": (256, 5, 48, 1), "conv3": (384, 3, 256, 1),
        "conv4": (384, 3, 192, 1), "conv5": (256, 3, 192, 1),
    }  # fmt: skip
    for name, (filters, size, depth, stride) in kernels.items():
        row = rows[name]
        assert (row.filters, row.kernel, row.stride) == (filters, (size,) * 2, (stride,) * 2)
        assert row.weights == filters * size * size * depth
    neurons = [math.prod(kind.shape) for row in rows.values() for kind in row.outputs]
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    total = sum(row.weights + row.biases for row in rows.values())
    assert total == pytest.approx(60e6, rel=0.02)


def test_googlenet_is_table_1():
    """Szegedy et al. (2015), table 1: filters of each module by column, millions of operations.

    The 54 million that it has for 5a do not follow from its filters, which take 51.
    """
    published = {
        "3a": ((64, 96, 128, 16, 32, 32), 128), "3b": ((128, 128, 192, 32, 96, 64), 304),
        "4a": ((192, 96, 208, 16, 48, 64), 73), "4b": ((160, 112, 224, 24, 64, 64), 88),
        "4c": ((128, 128, 256, 24, 64, 64), 100), "4d": ((112, 144, 288, 32, 64, 64), 119),
        "4e": ((256, 160, 320, 32, 128, 128), 170), "5a": ((256, 160, 320, 32, 128, 128), 51),
        "5b": ((384, 192, 384, 48, 128, 128), 71),
    }  # fmt: skip
    rows = layers(cnndsl.parse("googlenet").graph)
    for module, (filters, operations) in published.items():
        inside = [row for row in rows if row.name.startswith(f"inception_{module}.")]
        convolutions = [row for row in inside if row.kind == "conv"]
        assert tuple(row.filters for row in convolutions) == filters
        assert [row.kernel[0] for row in convolutions] == [1, 1, 3, 1, 5, 1]
        assert sum(row.macs for row in convolutions) / 1e6 == pytest.approx(operations, abs=1)
        assert inside[-1].outputs[0].shape[0] == sum(filters[k] for k in (0, 2, 4, 5))


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("lenet5_paper", 5),
        ("alexnet_grouped", 8),
        ("vgg16", 16),
        ("googlenet_aux", 22),
        ("resnet50", 50),
        ("resnet18", 18),
        ("densenet121", 121),
    ],
)
def test_depth_is_that_in_the_name(name, depth):
    graph = cnndsl.parse(name).graph
    assert weighted_depth(graph) == depth
    rows = layers(graph)
    cost = graph_cost(graph)
    assert sum(row.weights + row.biases for row in rows) == cost.params
    assert sum(row.macs for row in rows) == cost.macs


def test_rows_of_a_network_of_open_size():
    rows = layers(cnndsl.parse(OPEN).graph)
    found = [(row.kind, row.activation, row.weights, row.biases, row.macs) for row in rows]
    assert found == [
        ("conv", None, 162, 0, None),
        ("bn", "relu", 6, 6, 0),
        ("conv", None, 36, 6, None),
        ("sigmoid", None, 0, 0, 0),
        ("concat", None, 0, 0, 0),
        ("prelu", None, 18, 0, 0),
        ("conv", "silu", 324, 6, None),
        ("global_avgpool", None, 0, 0, 0),
        ("fc", "softmax", 24, 4, 24),
    ]
    assert rows[0].dilation == (2, 2)
    assert [str(kind) for kind in rows[4].inputs] == ["6xHxW"] * 3
    assert rows[6].padding == ((0, 0), (1, 2))


def test_csv_reads_back():
    text = FORMS["csv"](cnndsl.parse(OPEN).graph)
    *rows, total = csv.DictReader(StringIO(text))
    assert all(None not in row and None not in row.values() for row in (*rows, total))
    assert (rows[0]["layer"], rows[0]["kernel"], rows[0]["MACs"]) == ("a", "3x3", "?")
    assert rows[4]["inputs"] == "3 of 6xHxW"
    assert (rows[6]["padding"], rows[6]["outputs"]) == ("0x(1+2)", "6xHx(W + 1)")
    assert rows[8]["layer"].startswith("fc")
    assert (total["layer"], total["kind"], total["outputs"]) == ("total", "depth 4", "4")
    for column in ("weights", "biases"):
        assert int(total[column]) == sum(int(row[column]) for row in rows)


def test_markdown_and_latex_are_well_formed():
    graph = cnndsl.parse(OPEN).graph
    count = len(layers(graph)) + 1
    lines = FORMS["markdown"](graph).splitlines()
    assert len(lines) == 2 + count
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert any(r"b\_1" in line for line in lines)
    begin, head, rule, *rows, last_rule, total, end = FORMS["latex"](graph).splitlines()
    columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", begin)
    assert columns
    assert (rule, last_rule, end) == (r"\hline", r"\hline", r"\end{tabular}")
    assert len(rows) == count - 1
    for line in (head, *rows, total):
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == len(columns[1]) - 1
        assert not re.search(r"(?<!\\)[_#%^~]", line)
        assert line.count("$") % 2 == 0
    assert r"b\_1" in "".join(rows)
    assert r"3$\times$3" in rows[0]
    assert r" 3$\times$H$\times$W & 6$\times$H$\times$W " in rows[0]
    assert r" 0$\times$(1+2) " in rows[6]
    assert r" 6$\times$H$\times$(W + 1) " in rows[6]


def test_latex_leaves_an_x_in_names_of_sizes():
    graph = cnndsl.parse(OPEN.replace("H", "x2x").replace("a:", "a2x2:")).graph
    text = FORMS["latex"](graph)
    assert r" 3$\times$x2x$\times$W " in text
    assert "a2x2 & conv" in text


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_tables_for_people_leave_out_empty_columns(form):
    text = FORMS[form](cnndsl.parse("vgg16").graph)
    assert "groups" not in text
    assert "dilation" not in text
    assert "138,344,128" in text.splitlines()[-2 if form == "latex" else -1]
