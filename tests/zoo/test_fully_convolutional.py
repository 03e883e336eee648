"""Networks on inputs larger than declared: a map whose cells are the results of the crops."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl
from benchmarks.weights import lively_weights
from cnndsl.analysis.crops import crops
from cnndsl.analysis.report import report
from cnndsl.ir.operators import Conv, FullyConnected
from tests.zoo.support import assert_close

VALID = """
defaults conv(pad=valid)
network valid {
    input image [3, 22, 26]
    conv(6, 3) -> bn -> relu -> maxpool(2)
    conv(8, 3, stride=2) -> relu -> lrn
    fc1: fc(7)
    relu -> dropout -> fc2: fc(5)
    softmax
}
"""
SIGNAL = """
network signal {
    input sound [2, 20]
    conv(4, 5, stride=3, pad=valid) -> relu -> fc(3, bias=false) -> tanh -> fc(2)
}
"""


def test_vgg16_on_384_gives_a_map_of_6_by_6():
    """Simonyan and Zisserman 2014, section 3.2; the cost is that of the network written densely."""
    declared = cnndsl.parse("vgg16")
    network = cnndsl.parse("vgg16", input_shapes={"image": (3, 384, 384)})
    assert network.graph.parameters() == declared.graph.parameters()
    (output,) = network.graph.outputs.values()
    assert network.graph[output].type.shape == (1000, 6, 6)
    assert network.graph["fc6"].op.kernel == (7, 7)
    assert [network.graph[name].op.kernel for name in ("fc7", "fc8")] == [(1, 1), (1, 1)]
    dense, once = report(cnndsl.parse("vgg16_dense_384")), report(declared)
    assert report(network)["crops"] == {
        "count": 36,
        "shape": [3, 224, 224],
        "macs": 36 * once["macs"],
        "dense_macs": dense["macs"],
        "exact": False,
    }


@pytest.mark.parametrize("target", ["reference", "onnx"])
@pytest.mark.parametrize(
    ("text", "port", "large", "step", "cells"),
    [(VALID, "image", (3, 34, 30), (4, 4), (4, 2)), (SIGNAL, "sound", (2, 33), (3,), (5,))],
    ids=["valid", "signal"],
)
def test_cells_are_the_results_of_the_crops(text, port, large, step, cells, target):
    declared = cnndsl.parse(text)
    network = cnndsl.parse(text, input_shapes={port: large})
    weights = lively_weights(declared.graph)
    image = np.random.default_rng(1).normal(size=large).astype(np.float32)
    whole = cnndsl.compile(network, target=target, weights=weights)(image)
    single = cnndsl.compile(declared, target=target, weights=weights)
    size = declared.graph[port].type.spatial
    assert whole.shape[1:] == cells
    for cell in np.ndindex(*cells):
        corner = zip(cell, step, size, strict=True)
        window = tuple(slice(i * s, i * s + n) for i, s, n in corner)
        assert_close(whole[(slice(None), *cell)], single(image[(slice(None), *window)]), 1e-5)


@pytest.mark.parametrize(
    ("change", "unlike"),
    [
        (("", ""), ()),
        (("conv(6, 3)", "conv(6, 3, pad=1)"), ("conv1",)),
        (("maxpool(2)", "maxpool(3, pad=1, stride=2)"), ("maxpool1",)),
        (("-> lrn", "-> mul { identity | global_avgpool -> sigmoid }"), ("mul1",)),
        (("-> relu -> lrn", "-> conv_transpose(8, 3) -> lrn"), ("conv_transpose1",)),
        (("-> lrn", "-> layer_norm"), ()),
        (("-> lrn", "-> instance_norm"), ("instance_norm1",)),
        (("-> lrn", "-> group_norm(2)"), ("group_norm1",)),
    ],
)
def test_what_sees_the_borders_of_crops_is_named(change, unlike):
    """A cell inside is the result of its crop only if nothing does."""
    text = VALID.replace(*change)
    declared = cnndsl.parse(text)
    network = cnndsl.parse(text, input_shapes={"image": (3, 42, 38)})
    found = crops(network)
    assert found.unlike == unlike
    assert ("equal results" in str(found)) == (not unlike)
    weights = lively_weights(declared.graph)
    image = np.random.default_rng(1).normal(size=(3, 42, 38)).astype(np.float32)
    whole = cnndsl.compile(network, target="reference", weights=weights)(image)
    crop = cnndsl.compile(declared, target="reference", weights=weights)(image[:, 4:26, 4:30])
    error = np.abs(whole[:, 1, 1] - crop).max()
    assert error > 1e-4 if unlike else error < 1e-6


FLATTENED = VALID.replace("fc1:", "flatten -> dropout -> fc1:")
TWICE = """
network twice {
    input sound [2, 20]
    conv(4, 5, stride=3, pad=valid) -> flatten -> relu
    concat { fc(3) | dropout -> fc(2, bias=false) }
}
"""


@pytest.mark.parametrize(
    ("text", "plain", "port", "large"),
    [
        (FLATTENED, VALID, "image", (3, 34, 30)),
        (TWICE, TWICE.replace("-> flatten", ""), "sound", (2, 33)),
    ],
)
def test_an_explicit_flatten_slides_along(text, plain, port, large):
    flattened = cnndsl.parse(text, input_shapes={port: large})
    weights = lively_weights(cnndsl.parse(text).graph)
    image = np.random.default_rng(1).normal(size=large).astype(np.float32)
    expected = cnndsl.compile(cnndsl.parse(plain, input_shapes={port: large}), weights=weights)
    assert_close(cnndsl.compile(flattened, weights=weights)(image), expected(image), 1e-5)
    assert flattened.declared is not None


@pytest.mark.parametrize("behind", ["fc(2) -> relu\n output v = flat", "softmax -> fc(2)"])
def test_a_flatten_that_others_read_stays(behind):
    text = f"network n {{\n input x [1, 4]\n let flat = flatten\n flat -> {behind}\n}}"
    assert cnndsl.parse(text, input_shapes={"x": (1, 6)}).declared is None


def test_a_larger_onnx_model_takes_other_sizes_too():
    network = cnndsl.parse(VALID, input_shapes={"image": (3, 34, 30)})
    weights = lively_weights(network.graph)
    module = cnndsl.compile(network, weights=weights, dynamic=("height", "width"))
    other = cnndsl.parse(VALID, input_shapes={"image": (3, 30, 42)})
    expected = cnndsl.compile(other, target="reference", weights=weights)
    image = np.random.default_rng(2).normal(size=(3, 30, 42)).astype(np.float32)
    assert_close(module(image), expected(image), 1e-5)


@pytest.mark.parametrize("shape", [(3, 22, 26), (3, 16, 30), (3, 22, 27)])
def test_layers_stay_where_the_map_does_not_grow(shape):
    """The declared shape, one with a smaller map, and one that is cut to the same map."""
    network = cnndsl.parse(VALID, input_shapes={"image": shape})
    assert isinstance(network.graph["fc1"].op, FullyConnected)
    assert (network.declared, crops(network)) == (None, None)
    (output,) = network.graph.outputs.values()
    assert network.graph[output].type.shape == (5,)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "se_shufflenet_v1_g3_1x"])
def test_networks_with_global_pooling_take_any_size(name):
    network = cnndsl.parse(name, input_shapes={"image": (3, 320, 256)})
    (output,) = network.graph.outputs.values()
    assert network.graph[output].type.shape == (1000,)
    assert network.graph.parameters() == cnndsl.parse(name).graph.parameters()


def test_the_weights_of_a_layer_that_slides_keep_their_names_and_shapes():
    network = cnndsl.parse(VALID, input_shapes={"image": (3, 40, 40)})
    assert isinstance(network.graph["fc1"].op, Conv)
    shapes = {n: p.shape for n, p in network.graph.parameters().items() if n.startswith("fc")}
    assert shapes == {
        "fc1.weight": (7, 8 * 4 * 5),
        "fc1.bias": (7,),
        "fc2.weight": (5, 7),
        "fc2.bias": (5,),
    }


def test_an_unused_value_does_not_keep_layers_from_sliding():
    text = VALID.replace("    fc1:", "    let spare = relu\n    fc1:")
    network = cnndsl.parse(text, input_shapes={"image": (3, 40, 40)})
    assert isinstance(network.graph["fc1"].op, Conv)
