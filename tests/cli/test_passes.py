"""The optimiser as the command line shows it."""

from __future__ import annotations

import json

import pytest

NETWORK = """\
network normalised {
    input image [3, 8, 8]
    stem: conv(4, 3)
    bn -> relu -> maxpool(2) -> bn -> relu -> conv(2, 3)
}
"""


@pytest.fixture
def file(tmp_path) -> str:
    (tmp_path / "net.cnn").write_text(NETWORK)
    return "net.cnn"


def test_table_of_passes(call, file):
    rows = json.loads(call("inspect", file, "--passes", "--json").out)
    by_name = {row["name"]: row for row in rows}
    assert by_name["fuse-bn"] | {"seconds": 0} == {
        "name": "fuse-bn", "matched": 1, "rejected": 1, "before": 8, "after": 7, "seconds": 0,
    }  # fmt: skip
    assert rows[-1]["after"] == 3
    table = call("inspect", file, "--passes").out.splitlines()
    assert len(table) == len(rows) + 1
    assert table[0].startswith("pass")


def test_explain_names_line_and_reason(call, file):
    first, second = json.loads(call("inspect", file, "--explain", "fuse-bn", "--json").out)
    assert first == {
        "place": "net.cnn:4", "node": "bn1", "fate": "done", "text": "folded back into stem",
    }  # fmt: skip
    assert (second["place"], second["node"], second["fate"]) == ("net.cnn:4", "bn2", "left")
    assert "maxpool1 (maxpool) has no weights" in second["text"]
    assert "net.cnn:4" in call("inspect", file, "--explain", "fuse-bn").out
    assert call("inspect", file, "--explain", "strided-conv").out == "no candidates\n"


def test_graph_at_stages(call, file):
    parsed = call("inspect", file, "--stage", "parsed").out
    assert "bn1 = bn(stem) : 4x8x8\n" in parsed
    optimised = call("inspect", file, "--stage", "optimised").out
    assert "conv1 = fused(stem) { affine -> relu -> conv" in optimised
    for_onnx = call("inspect", file, "--stage", "optimised", "--target", "onnx").out
    assert "fused" not in for_onnx
    assert "bn2 = bn(maxpool1)" in for_onnx
    assert call("inspect", file, "--stage", "optimised", "-O0").out == parsed
    after = call("inspect", file, "--print-after", "fuse-bn").out
    assert "stem.weight * reshape(bn1.weight" in after
    assert "fused" not in after
    nodes = json.loads(call("inspect", file, "--stage", "optimised", "--json").out)["nodes"]
    assert len(nodes) == 3


def test_disabled_and_unknown_passes(call, file):
    kept = call("inspect", file, "--stage", "optimised", "--disable", "fuse-bn").out
    assert "stem = fused(image) { conv filters=4 kernel=3x3 pad=[1x1, 1x1] -> affine" in kept
    wrong = call("inspect", file, "--print-after", "fuse")
    assert wrong.code == 2
    assert "E0610" in wrong.err
    assert "fuse-bn" in wrong.err


def test_artefacts_have_no_passes(call, file):
    options = ("-O1", "--disable", "rectified", "--target", "reference")
    assert call("compile", file, "--seed", 0, *options).code == 0
    result = call("inspect", "normalised.cnnref", "--passes")
    assert result.code == 2
    assert "compiled" in result.err


def test_diff(call, file, tmp_path):
    assert call("diff", file, file).out == ""
    assert call("diff", file, file).code == 0
    other = NETWORK.replace("conv(2, 3)", "conv(2, 5)").replace(
        "-> bn -> relu -> c", "-> relu -> c"
    )
    (tmp_path / "other.cnn").write_text(other)
    result = call("diff", file, "other.cnn")
    assert result.code == 1
    assert "-bn2 = bn(maxpool1) : 4x4x4" in result.out
    found = json.loads(call("diff", file, "other.cnn", "--json").out)
    assert found == {"removed": ["bn2"], "added": [], "changed": ["relu2", "conv1"]}
    fused = json.loads(call("diff", file, "other.cnn", "--stage", "optimised", "--json").out)
    assert fused["changed"] == ["conv1"]


def test_graphs_are_compared_before_or_after_the_passes(call, file):
    result = call("diff", file, file, "--stage", "planned")
    assert result.code == 2
    assert "'planned' is not one of 'parsed', 'optimised'" in result.err
