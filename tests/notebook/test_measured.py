"""What a notebook shows of modules and of what is measured of them."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import cnndsl
from cnndsl.cli.main import main
from cnndsl.measure.bench import Timing
from cnndsl.measure.contest import Contest, Contestant
from cnndsl.measure.layers import LayerReport
from cnndsl.runtime.layers import Layer, Peak

NET = """network net {
    input image [3, 8, 8]
    stem: conv(4, 3) -> relu
    global_avgpool -> fc(5) -> softmax
}
"""
PEAK = Peak(5e9, 1e10)


@pytest.fixture(scope="module")
def module():
    return cnndsl.compile(NET, "onnx", seed=0)


@pytest.fixture(scope="module")
def timed():
    """Two calls, and two steps, the second of which takes four times as long."""
    steps = [
        LayerReport(Layer(name, "conv", "direct", (1, 4, 8, 8), 6912, 1216, 1024), seconds, PEAK)
        for name, seconds in (("stem", 1e-5), ("last", 4e-5))
    ]
    own = Contestant("cpu", Timing(((1e-4,), (3e-4,)), 2_000_000), 500_000)
    return Contest("net", 1, 2, 4096, (own,), steps)


@pytest.fixture(scope="module")
def compared():
    return cnndsl.compare(NET, ["reference", "onnx"], seed=1)


def tables(shown):
    """The cells of all tables, which an XML parser reads, so that all is closed and escaped."""
    root = ElementTree.fromstring(f"<div>{shown._repr_html_()}</div>")
    return [[list(row) for row in table.iter("tr")] for table in root.iter("table")]


def texts(row):
    return [cell.text or "" for cell in row]


def widths(rows):
    return [int(re.match(r"width: (\d+)px", row[-1][0].get("style"))[1]) for row in rows]


def test_a_module_shows_its_facts_and_the_blocks_of_its_network(module):
    (facts,) = tables(module)
    rows = dict(map(texts, facts[1:]))
    assert (rows["network"], rows["input image"]) == ("net", "batchx3x8x8")
    bundle = module._repr_mimebundle_()
    assert bundle["text/html"] == module._repr_html_()
    assert "parameters" in bundle["text/plain"]
    assert cnndsl.parse(NET).summary().splitlines()[-1] in bundle["text/plain"]


def test_a_loaded_module_without_its_network_shows_its_facts(module, tmp_path):
    module.save(tmp_path / "net.onnx")
    bare = cnndsl.load(tmp_path / "net.onnx")
    assert "<svg" not in bare._repr_html_()
    assert "batchx3x8x8" in bare._repr_text_()


def test_a_bench_result_has_bars_as_long_as_the_layers_take(timed):
    runtimes, layers = tables(timed)
    assert [texts(row)[0] for row in runtimes] == ["", "cpu"]
    assert [texts(row)[0] for row in layers[1:]] == ["stem", "last"]
    assert widths(layers[1:]) == [40, 160]


def test_a_bench_result_as_text_is_what_the_command_prints(timed, tmp_path, monkeypatch, capsys):
    lines = timed._repr_text_().splitlines()
    monkeypatch.setattr("cnndsl.measure.contest.contest", lambda *_, **__: timed)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.cnn").write_text(NET)
    assert main(["bench", "net.cnn", "--target", "onnx"]) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_a_comparison_has_a_row_for_each_layer_that_both_show(compared):
    (rows,) = tables(compared)
    names = [texts(row)[0] for row in rows[1:]]
    assert names == [row.name for row in compared.rows]
    assert {"stem.conv1", "output"} <= set(names)
    assert len(compared._repr_text_().splitlines()) == len(names) + 2


def test_a_comparison_is_that_of_the_command(compared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.cnn").write_text(NET)
    assert main(["compare", "net.cnn", "--targets", "reference,onnx", "--seed", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == compared.data()


def test_a_comparison_takes_inputs_and_options():
    given = {"image": np.ones((2, 3, 8, 8), np.float32)}
    found = cnndsl.compare(NET, ["reference", "onnx"], given, tolerance=0, level=0)
    assert {row.shape[0] for row in found.rows} == {2}
    assert "onnx diverges first at" in found._repr_text_()
    with pytest.raises(TypeError, match="no option 'levle'"):
        cnndsl.compare(NET, levle=0)
