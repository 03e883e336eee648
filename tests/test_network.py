"""Networks without a text, and networks whose graph is edited: what is compiled is the graph."""

import numpy as np
import pytest

import cnndsl
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.operators.structure import Input

TEXT = """network small {
    input image [3, 6, 6]
    conv: conv(4, 3) -> relu: relu
}"""
TARGETS = ["reference", "onnx", "cpu"]
IMAGE = np.random.default_rng(0).standard_normal((1, 3, 6, 6), np.float32)


def values(network, target):
    return cnndsl.compile(network, target, seed=0)(image=IMAGE)


def with_tanh(network):
    graph = network.graph
    relu = graph["relu"]
    graph.redefine(relu, BY_NAME["tanh"](), graph.producers(relu), {}, relu.spans)
    return network


@pytest.mark.parametrize("target", TARGETS)
def test_an_edited_graph_is_what_is_compiled(target):
    edited = with_tanh(cnndsl.parse(TEXT))
    wanted = values(cnndsl.parse(TEXT.replace("relu: relu", "relu: tanh")), "reference")
    assert wanted.min() < -0.1
    np.testing.assert_allclose(values(edited, target), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_another_output_is_compiled(target):
    network = cnndsl.parse(TEXT)
    network.graph.outputs["output"] = "conv"
    wanted = values(cnndsl.parse(TEXT.replace("-> relu: relu", "")), "reference")
    np.testing.assert_allclose(values(network, target), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_a_network_needs_no_text(target):
    graph = Graph("built")
    image = graph.add("image", Input((3, 6, 6)), [])
    graph.inputs.append("image")
    graph.outputs["result"] = graph.add("tanh", BY_NAME["tanh"](), [image]).name
    network = cnndsl.Network(graph)
    assert (network.name, network.file, network.warnings) == ("built", "", ())
    assert "tanh" in network.summary()
    np.testing.assert_allclose(values(network, target), np.tanh(IMAGE), rtol=1e-5, atol=1e-6)


def test_an_edit_shows_in_the_hash_of_the_source():
    plain, edited = cnndsl.parse(TEXT), with_tanh(cnndsl.parse(TEXT))
    assert not plain.edited
    assert edited.edited
    built = cnndsl.Network(plain.graph)
    assert len({network.source_hash for network in (plain, edited, built)}) == 3


def test_a_plain_network_is_opened_and_an_edited_one_is_not():
    assert str(cnndsl.parse(TEXT).open_graph()["image"].type) == "3xHxW"
    with pytest.raises(cnndsl.CnnError, match="E0617"):
        with_tanh(cnndsl.parse(TEXT)).open_graph()


def test_numbers_of_numpy_are_numbers():
    text = (
        "network t(n=1, bias=true) { input image [3, 8, 8]\n conv(n, 3, bias=bias) -> scale(n/2) }"
    )
    given = {"n": np.int64(4), "bias": np.bool_(False)}
    net = cnndsl.parse(text, settings=given, input_shapes={"image": np.array([3, 16, 9])})
    assert {name: str(kind) for name, kind in net.outputs.items()} == {"output": "4x16x9"}
    assert net.params == 4 * 3 * 9
    text = "network t(widths=[1]) { input image [3, 8, 8]\n for n in widths { conv(n, 3) } }"
    for widths in ((2, 5), [np.int8(2), 5], np.array([2, 5])):
        assert str(cnndsl.parse(text, settings={"widths": widths}).outputs["output"]) == "5x8x8"


@pytest.mark.parametrize("value", [10**400, float("inf"), float("nan"), 1e300])
def test_numbers_beyond_all_bounds_are_refused(value):
    for layer in ("scale(n)", "conv(n, 3)", "scale(n/2)"):
        with pytest.raises(cnndsl.CnnError, match=r"E0309|E0502") as caught:
            cnndsl.parse(f"network t(n=1) {{ input x [3, 8, 8]\n {layer} }}", settings={"n": value})
        assert len(caught.value.diagnostics[0].message) < 200


def test_what_is_no_list_is_refused():
    text = "network t { input x [3, 8, 8]\n relu }"
    with pytest.raises(cnndsl.CnnError, match="is a list of sizes, not '3x8x8'"):
        cnndsl.parse(text, input_shapes={"x": "3x8x8"})
    with pytest.raises(cnndsl.CnnError, match="disable is a list of passes, not 'fuse-bn'"):
        cnndsl.compile(text, "reference", disable="fuse-bn")
    with pytest.raises(cnndsl.CnnError, match="unknown target None"):
        cnndsl.compile(text, None)
