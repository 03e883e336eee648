"""Times and errors on a page: those of the same network, and no others."""

import json
from copy import deepcopy

import pytest

import cnndsl
from cnndsl.cli.main import main
from cnndsl.diagnostics import CnnError
from cnndsl.page.data import page_data
from cnndsl.page.html import page
from cnndsl.page.measured import ERRORS, TIMES

NET = "network net {\n    input x [3, 8, 8]\n    one: conv(4, 3)\n    two: conv(2, 3)\n}\n"
LAYER = {"op": "conv", "family": "direct", "macs": 1, "bytes": 1, "bound": None}
TIMED = {
    "network": "net", "batch": 1, "threads": 2,
    "layers": [
        {**LAYER, "node": "x.in", "shape": [1, 3, 8, 8], "ms": 0.25},
        {**LAYER, "node": "one", "shape": [1, 4, 8, 8], "ms": 1.5},
        {**LAYER, "node": "two.unpooled", "shape": [1, 2, 8, 8], "ms": 0.5},
        {**LAYER, "node": "two", "shape": [1, 2, 8, 8], "ms": 0.125},
        {**LAYER, "node": "output.out", "shape": [1, 2, 8, 8], "ms": 2.0},
        {**LAYER, "node": "elsewhere.in", "shape": [1], "ms": 4.0},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    return cnndsl.parse(NET).graph


@pytest.fixture(scope="module")
def compared():
    return cnndsl.compare(NET, ["reference", "onnx"], seed=0)


def test_a_page_has_what_was_measured(graph, compared):
    data = page_data(graph, times=TIMED, errors=compared.data())
    assert [(row["name"], row["node"], row["ms"]) for row in data["times"]["rows"]] == [
        ("x.in", "x", 0.25), ("one", "one", 1.5), ("two.unpooled", "two", 0.5),
        ("two", "two", 0.125), ("output.out", "two", 2.0), ("elsewhere.in", "", 4.0),
    ]  # fmt: skip
    rows = {row["name"]: row for row in data["errors"]["rows"]}
    assert rows["one"]["errors"] == {"onnx": compared.rows[0].errors["onnx"].relative}
    assert (rows["one"]["node"], rows["output"]["node"]) == ("one", "")
    assert page_data(graph)["times"] is None


def test_infinite_errors_can_be_read_by_a_browser(graph, compared):
    found = deepcopy(compared.data())
    found["rows"][0]["errors"]["onnx"] = float("inf")
    text = json.dumps(page_data(graph, errors=found), allow_nan=False)
    assert json.loads(text)["errors"]["rows"][0]["errors"]["onnx"] == 1e308


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (NET.replace("network net", "network other"), "of 'net', not of 'other'"),
        (NET.replace("one:", "uno:").replace("two:", "due:"), "of 'net', not of 'net'"),
        (NET.replace("[3, 8, 8]", "[3, 9, 9]"), "with other sizes"),
    ],
)
def test_what_was_measured_of_another_network_is_refused(text, problem):
    with pytest.raises(CnnError, match=problem):
        page_data(cnndsl.parse(text).graph, times=TIMED)


def test_open_sizes_take_what_was_measured():
    graph = cnndsl.parse(NET.replace("8, 8", "H, W")).graph
    assert len(page_data(graph, times=TIMED)["times"]["rows"]) == 6


def broken():
    yield "[1"
    yield "[]"
    yield "{}"
    for key in ("network", "layers", "batch"):
        yield json.dumps({k: v for k, v in TIMED.items() if k != key})
    for key, value in (("ms", "1"), ("ms", None), ("ms", float("nan")), ("shape", 3)):
        yield json.dumps({**TIMED, "layers": [{**TIMED["layers"][1], key: value}]})
    yield "[" * 100_000


@pytest.mark.parametrize("text", list(broken()), ids=range(11))
def test_files_that_hold_something_else(tmp_path, text):
    path = tmp_path / "times.json"
    path.write_text(text)
    with pytest.raises(CnnError, match="E0603"):
        TIMES.read(path)


def test_files_of_the_other_kind(tmp_path, compared):
    path = tmp_path / "errors.json"
    path.write_text(json.dumps(compared.data()))
    assert ERRORS.read(path)["network"] == "net"
    with pytest.raises(CnnError, match="bench --layers --json"):
        TIMES.read(path)
    with pytest.raises(CnnError, match="E0601"):
        TIMES.read(tmp_path / "nothing.json")


def test_the_command_takes_files_and_notebooks_take_results(tmp_path, monkeypatch, compared):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.cnn").write_text(NET)
    (tmp_path / "e.json").write_text(json.dumps(compared.data()))
    (tmp_path / "t.json").write_text(json.dumps(TIMED))
    given = ["--times", "t.json", "--errors", "e.json"]
    assert main(["view", "net.cnn", *given, "-o", "net.html"]) == 0
    found = (tmp_path / "net.html").read_bytes()
    assert found != cnndsl.parse("net.cnn").page(errors=compared)
    assert main(["view", "net.cnn", "--errors", "e.json", "-o", "net.html"]) == 0
    assert (tmp_path / "net.html").read_bytes() == cnndsl.parse("net.cnn").page(errors=compared)
    assert main(["view", "net.cnn", *given, "-o", "t.json"]) == 2


def test_the_network_inside_a_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = cnndsl.compile(NET, "reference", seed=0)
    module.save("net.cnnref")
    assert main(["view", "net.cnnref", "-o", "net.html"]) == 0
    assert (tmp_path / "net.html").read_bytes() == page(page_data(cnndsl.load("net.cnnref").graph))
    assert main(["view", "net.cnnref", "--set", "a=1"]) == 2
