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
