"""Rules and order against recorded state dicts; Keras against a forward pass of its own kind."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl
from cnndsl.diagnostics import CnnError, Diagnostic
from cnndsl.weights.buffers import Weights
from cnndsl.weights.conversion import convert
from cnndsl.weights.conversion.forms import Forms
from cnndsl.weights.conversion.layers import layers_of
from cnndsl.weights.conversion.maps import FOLDER, index, zoo_rules
from cnndsl.weights.conversion.match import match
from tests.weights.state_dicts import MODELS, ZOO_NAMES, Shapes, recorded

CHAINS = ["alexnet", "vgg11", "vgg13_bn", "vgg16", "vgg19_bn", "squeezenet1_1"]
CHAINS += ["resnet18", "densenet121", "mobilenet_v2"]
"""Models whose order decides, so that it has to agree with the rules."""


def parsed(model: str) -> cnndsl.Network:
    return cnndsl.parse(ZOO_NAMES.get(model, model))


def parameter_shapes(network: cnndsl.Network) -> Shapes:
    return {name: parameter.shape for name, parameter in network.graph.parameters().items()}


@pytest.mark.parametrize(("source", "model"), MODELS)
def test_rules_bind_every_parameter_and_leave_nothing_over(source, model):
    network = parsed(model)
    renamed = zoo_rules(source, network.name).apply(recorded(source)[model])
    parameters = network.graph.parameters()
    assert renamed.keys() == parameters.keys()
    assert all(Forms({}).fits(parameters[name], shape) for name, shape in renamed.items())


def test_published_densenets_have_dots_before_their_numbers():
    network = cnndsl.parse("densenet121")
    published = {
        name.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1"): s
        for name, s in recorded("torchvision")["densenet121"].items()
    }
    renamed = zoo_rules("torchvision", "densenet121").apply(published)
    assert renamed == parameter_shapes(network)


def test_the_head_of_inception_v3_stays_where_it_is_wanted():
    network = cnndsl.parse("inception_v3_aux")
    renamed = zoo_rules("torchvision", network.name).apply(recorded("torchvision")["inception_v3"])
    assert renamed == parameter_shapes(network)


@pytest.mark.parametrize("model", CHAINS)
def test_order_and_rules_agree(model):
    network, shapes = parsed(model), recorded("torchvision")[model]
    own_names = {name: name for name in shapes}
    by_rule = zoo_rules("torchvision", network.name).apply(own_names)
    pairs = match(layers_of(shapes.items()), network.graph)
    by_order = {
        target.array(role): source.array(role) for source, target in pairs for role in target.shapes
    }
    assert by_order == by_rule


def test_sorted_names_are_matched_by_their_numbers():
    network, shapes = parsed("vgg16"), recorded("torchvision")["vgg16"]
    pairs = match(layers_of(sorted(shapes.items())), network.graph)
    assert {t.name: s.name for s, t in pairs}["conv5.2.conv1"] == "features.28"


def test_every_map_is_used_and_every_network_exists():
    used = {file for networks in index().values() for files in networks.values() for file in files}
    assert used == {
        f"{folder.name}/{file.name}"
        for folder in FOLDER.iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
    }
    assert {n for networks in index().values() for n in networks} <= set(cnndsl.zoo())


SEQUENCE = """
network sequence {
    input image [2, 6, 6]
    conv(4, 3) -> bn -> relu -> conv(4, 3) -> bn -> relu -> fc(3)
}
"""
PARALLEL = """
network parallel {
    input image [2, 6, 6]
    concat { first: conv(4, 3) | second: conv(4, 3) }
}
"""


def arrays_like(network, names):
    """Random positive arrays under other layer names, in the order of the network's layers."""
    rng = np.random.default_rng(0)
    found = {}
    for layer, name in zip(layers_of(parameter_shapes(network).items()), names, strict=True):
        for role, shape in layer.shapes.items():
            found[f"{name}.{role}"] = rng.uniform(0.5, 1, shape).astype(np.float32)
    return found


def test_auto_goes_by_shapes_and_numbers():
    network = cnndsl.parse(SEQUENCE)
    names = ["x.0", "x.1", "x.3", "x.4", "head"]
    arrays = arrays_like(network, names)
    counted = arrays | {"x.1.num_batches_tracked": np.array(3)}
    values = convert(counted, network).values
    np.testing.assert_array_equal(values["conv2.weight"], arrays["x.3.weight"])
    np.testing.assert_array_equal(values["bn1.running_var"], arrays["x.1.running_var"])
    assert set(values) == set(network.graph.parameters())


CHAIN = """
network chain {
    input image [3, 12, 12]
    stem: conv(8, 3)
    relu -> in_conv: conv(8, 3)
    relu -> out: conv(8, 3)
    relu -> global_avgpool -> head: fc(3)
}
"""


def converted_chain(text, names):
    """What becomes of layers in the order of a file; names by the layers whose arrays they are."""
    network = cnndsl.parse(text)
    layers = {layer.name: layer for layer in layers_of(parameter_shapes(network).items())}
    arrays, rng = {}, np.random.default_rng(0)
    for layer, name in names.items():
        for role, shape in layers[layer].shapes.items():
            arrays[f"{name}.{role}"] = rng.normal(size=shape).astype(np.float32)
    values = convert(arrays, network).values
    return all(
        np.array_equal(values[f"{layer}.weight"], arrays[f"{name}.weight"])
        for layer, name in names.items()
    )


@pytest.mark.parametrize(
    "names",
    [
        {"head": "head", "out": "out_conv", "stem": "stem", "in_conv": "in_conv"},
        {"out": "last", "in_conv": "in_conv", "stem": "first", "head": "classifier"},
        {"stem": "a.0", "in_conv": "a.2", "out": "a.4", "head": "fc"},
        {"head": "fc", "stem": "a.0", "in_conv": "a.2", "out": "a.10"},
    ],
)
def test_names_shapes_and_numbers_decide_whatever_the_order_of_the_file(names):
    assert converted_chain(CHAIN, names)
    assert converted_chain(CHAIN, dict(sorted(names.items(), key=lambda item: item[1])))


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["a", "b", "c", "d"], "b can be in_conv or out"),
        (["conv1", "conv2", "conv3", "fc"], None),
        (["up3", "up2", "up1", "fc"], "up1 can be in_conv or out"),
        (["stem", "second", "first", "head"], "first can be in_conv or out"),
    ],
)
def test_the_order_of_a_file_alone_decides_nothing(names, note):
    layers = dict(zip(["stem", "in_conv", "out", "head"], names, strict=True))
    if note is None:
        assert converted_chain(CHAIN, layers)
    else:
        with pytest.raises(CnnError, match=f"E0415(.|\n)*{note}"):
            converted_chain(CHAIN, layers)


def test_numbers_that_go_down_in_a_sorted_file_are_refused():
    """The first decoder has a shape of its own, so that its number tells the direction."""
    names = {"out": "up1", "in_conv": "up2", "stem": "up3", "head": "w"}
    with pytest.raises(CnnError, match="up1 can be in_conv or out"):
        converted_chain(CHAIN, names)


def test_modules_tell_equal_layers_apart():
    network, shapes = parsed("resnet18"), recorded("torchvision")["resnet18"]
    by_place = {t.name: s.name for s, t in match(layers_of(sorted(shapes.items())), network.graph)}
    by_rule = zoo_rules("torchvision", "resnet18").apply({name: name for name in shapes})
    assert all(by_rule[f"{layer}.weight"] == f"{s}.weight" for layer, s in by_place.items())
    assert len(by_place) == 41


def test_auto_takes_the_rules_of_other_networks_that_fit():
    text = (FOLDER.parent / "resnet50.cnn").read_text("utf-8")
    text = text.replace("network resnet50(", "network mine(").replace(
        "recipe resnet50", "recipe mine"
    )
    network = cnndsl.parse(text)
    shapes = recorded("torchvision")["resnet50"]
    arrays = {n: np.full(s, i, np.float32) for i, (n, s) in enumerate(sorted(shapes.items()))}
    expected = convert(arrays, cnndsl.parse("resnet50"), "torchvision").values
    values = convert(arrays, network).values
    assert all(np.array_equal(values[name], expected[name]) for name in expected)


def test_auto_takes_the_networks_own_names_whatever_the_order():
    network = cnndsl.parse(PARALLEL)
    arrays = arrays_like(network, ["first", "second"])
    turned = dict(reversed(arrays.items()))
    values = convert(turned, network).values
    np.testing.assert_array_equal(values["second.weight"], arrays["second.weight"])


def test_auto_takes_rules_that_fit():
    network = cnndsl.parse("squeezenet1_1")
    shapes = recorded("torchvision")["squeezenet1_1"]
    arrays = {n: np.full(s, i, np.float32) for i, (n, s) in enumerate(sorted(shapes.items()))}
    values = convert(arrays, network).values
    expand = arrays["features.12.expand3x3.weight"]
    np.testing.assert_array_equal(values["fire9.conv3.weight"], expand)


@pytest.mark.parametrize(
    ("text", "names", "note"),
    [
        (PARALLEL, ["a", "b"], "a can be first or second"),
        (PARALLEL, ["b", "a"], "a can be first or second"),
        (SEQUENCE, ["ac", "an", "xc", "xn", "z"], "ac can be conv1 or conv2"),
    ],
)
def test_what_order_cannot_tell(text, names, note):
    """The names of the last case are sorted, which may or may not be the order of the layers."""
    network = cnndsl.parse(text.replace("[2, 6, 6]", "[4, 6, 6]"))
    with pytest.raises(CnnError) as caught:
        convert(arrays_like(network, names), network)
    (error,) = caught.value.diagnostics
    assert error.code == "E0415"
    assert any(note in remark.text for remark in error.notes)


def test_other_layers_are_refused():
    network = cnndsl.parse(SEQUENCE)
    arrays = arrays_like(network, ["v", "w", "x", "y", "head"])
    arrays["head.weight"] = arrays["head.weight"][:2]
    with pytest.raises(CnnError) as caught:
        convert(arrays, network)
    (error,) = caught.value.diagnostics
    assert error.code == "E0414"
    assert "the file has 0, the network needs 1; the network has fc1" in error.notes[0].text


def test_unknown_sources_and_networks():
    network = cnndsl.parse("googlenet")
    with pytest.raises(CnnError, match="no source 'caffe'") as caught:
        convert({}, network, "caffe")
    assert caught.value.diagnostics[0].code == "E0604"
    with pytest.raises(CnnError, match="no rules from torchvision") as caught:
        convert({}, cnndsl.parse("googlenet"), "torchvision")
    assert caught.value.diagnostics[0].code == "E0413"
    assert "googlenet_torchvision" in caught.value.diagnostics[0].hint


@pytest.mark.parametrize(
    "names", [["", ".", "..", "²", "9" * 900], ["kernel", "/", ":0", ".a", "b"]]
)
def test_odd_names_are_refused(names):
    arrays = {f"{name}{role}": np.ones(3) for name in names for role in ("", "x/depthwise_kernel")}
    with pytest.raises(CnnError, match="E0414"):
        convert(arrays, cnndsl.parse(SEQUENCE))


def test_missing_arrays_are_reported_by_name():
    network = cnndsl.parse("squeezenet1_1")
    shapes = dict(recorded("torchvision")["squeezenet1_1"])
    del shapes["features.4.squeeze.bias"]
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(CnnError, match="1 missing") as caught:
        convert(arrays, network, "torchvision")
    assert "fire3.conv1.bias" in caught.value.diagnostics[0].notes[0].text


@pytest.mark.parametrize(
    "names", [["conv1", "prelu1", "conv2", "prelu2"], ["m.0", "m.1", "m.2", "m.3"]]
)
def test_single_slopes_of_prelu(names):
    text = "network p {\n input image [2, 6, 6]\n conv(4, 3) -> prelu -> conv(5, 3) -> prelu\n}\n"
    network = cnndsl.parse(text)
    arrays = arrays_like(network, names)
    for name, slope in zip(names[1::2], (0.25, 0.5), strict=True):
        arrays[f"{name}.weight"] = np.array([slope], np.float32)
    values = convert(arrays, network).values
    assert values["prelu1.weight"].tolist() == [0.25] * 4
    assert values["prelu2.weight"].tolist() == [0.5] * 5


def test_the_choice_of_a_state_dict_is_among_the_warnings():
    network = cnndsl.parse(PARALLEL)
    arrays = Weights(arrays_like(network, ["first", "second"]))
    arrays.warnings = (Diagnostic("W0207", "several"),)
    assert convert(arrays, network).warnings == arrays.warnings


KERAS = """
network small {
    input image [3, 7, 6]
    conv(4, 3, pad=valid) -> bn(eps=1e-3) -> relu
    depthwise(2, multiplier=2, pad=valid, bias=false) -> conv(5, 1) -> relu
    conv(5, [1, 2], pad=valid, bias=false) -> flatten -> fc(4) -> relu -> fc(3)
}
"""


def slide(x, kernel):
    """[h, w, c] with [kh, kw, c, f], valid, as the loops of the definition; channels last."""
    kh, kw = kernel.shape[:2]
    height, width = x.shape[0] - kh + 1, x.shape[1] - kw + 1
    result = np.zeros((height, width, kernel.shape[3]))
    for i in range(height):
        for j in range(width):
            result[i, j] = np.tensordot(x[i : i + kh, j : j + kw], kernel, 3)
    return result


def depthwise(x, kernel):
    """Every channel by itself, its outputs next to one another."""
    parts = [slide(x[..., c : c + 1], kernel[:, :, c : c + 1]) for c in range(x.shape[2])]
    return np.concatenate(parts, 2)


def test_keras_gives_the_output_of_a_pass_with_channels_last():
    rng = np.random.default_rng(3)
    shapes = {
        "conv2d/kernel:0": (3, 3, 3, 4),
        "conv2d/bias:0": (4,),
        "norm/beta:0": (4,),
        "norm/moving_mean:0": (4,),
        "norm/moving_variance:0": (4,),
        "separable/depthwise_kernel:0": (2, 2, 4, 2),
        "separable/pointwise_kernel:0": (1, 1, 8, 5),
        "separable/bias:0": (5,),
        "conv2d_1/kernel:0": (1, 2, 5, 5),
        "dense/kernel:0": (40, 4),
        "dense/bias:0": (4,),
        "dense_1/kernel:0": (4, 3),
        "dense_1/bias:0": (3,),
    }
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["norm/moving_variance:0"] = np.abs(arrays["norm/moving_variance:0"])
    w = {name.removesuffix(":0"): array.astype(np.float64) for name, array in arrays.items()}
    image = rng.normal(size=(7, 6, 3))

    x = slide(image, w["conv2d/kernel"]) + w["conv2d/bias"]
    x = (x - w["norm/moving_mean"]) / np.sqrt(w["norm/moving_variance"] + 1e-3) + w["norm/beta"]
    x = depthwise(np.maximum(x, 0), w["separable/depthwise_kernel"])
    x = np.maximum(slide(x, w["separable/pointwise_kernel"]) + w["separable/bias"], 0)
    x = slide(x, w["conv2d_1/kernel"]).reshape(-1) @ w["dense/kernel"] + w["dense/bias"]
    expected = np.maximum(x, 0) @ w["dense_1/kernel"] + w["dense_1/bias"]

    network = cnndsl.parse(KERAS)
    values = convert(arrays, network, "keras").values
    np.testing.assert_array_equal(values["bn1.weight"], np.ones(4))
    module = cnndsl.compile(network, target="reference", weights=values, dtype="float64")
    found = module(np.moveaxis(image, 2, 0))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    automatic = convert(arrays, network, "auto").values
    assert all(np.array_equal(values[name], automatic[name]) for name in values)


def test_keras_3_calls_depthwise_kernels_by_their_layer():
    network = cnndsl.parse("network d {\n input image [5, 4, 4]\n depthwise(3, bias=false)\n}")
    kernel = np.arange(45, dtype=np.float32).reshape(3, 3, 5, 1)
    values = convert({"conv_dw_1/kernel": kernel}, network, "keras").values
    np.testing.assert_array_equal(
        values["depthwise1.weight"][:, 0], np.moveaxis(kernel[..., 0], 2, 0)
    )
