"""Foreign names for networks of the zoo: the exact pairing or none, whatever the file's order."""

from __future__ import annotations

import random

import pytest

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.weights.conversion.layers import Layer, layers_of
from cnndsl.weights.conversion.match import match
from cnndsl.weights.conversion.pairing import pair
from tests.weights.foreign import SCHEMES, numbered_members, renamed_words

NETWORKS = [
    "alexnet_grouped",
    "googlenet",
    "grouped_shuffled",
    "resnet18",
    "squeezenet1_1",
    "unet",
    "vgg16_bn",
]
"""`tests/extra` has the whole zoo."""


def graph_and_layers(text: str) -> tuple[Graph, list[Layer]]:
    network = cnndsl.parse(text)
    graph = network.declared or network.graph
    return graph, layers_of((name, p.shape) for name, p in graph.parameters().items())


def paired(graph: Graph, layers: list[Layer], names: dict[str, str]) -> dict[str, str] | None:
    """By layer the name that was paired with it, for a shuffled file."""
    given = [Layer(f"{names[layer.name]}.", layer.shapes) for layer in layers]
    random.Random(len(given)).shuffle(given)
    try:
        return {target.name: source.name for source, target in match(given, graph)}
    except CnnError:
        return None


@pytest.mark.parametrize("name", NETWORKS)
def test_foreign_names_are_paired_exactly_or_not_at_all(name):
    graph, layers = graph_and_layers(name)
    for scheme in SCHEMES:
        names = scheme(layers)
        found = paired(graph, layers, names)
        assert found in (names, None), scheme.__name__
        assert found or scheme not in (renamed_words, numbered_members), scheme.__name__


ONE = """
network one {
    input image [4, 8, 8]
    add { conv(4, 1) -> relu -> conv(4, 3) -> relu -> out: conv(16, 1) | shortcut: conv(16, 1) }
    global_avgpool -> fc(2)
}
"""


@pytest.mark.parametrize("word", ["downsample", "identity_conv", "proj", "skip"])
def test_words_tell_a_projection_from_what_it_is_added_to(word):
    graph, layers = graph_and_layers(ONE)
    names = {"conv1": "a", "conv2": "b", "out": "c", "shortcut": word, "fc1": "last"}
    assert paired(graph, layers, names) == names


def test_without_such_words_a_projection_is_not_guessed():
    graph, layers = graph_and_layers(ONE)
    names = {"conv1": "a", "conv2": "b", "out": "c", "shortcut": "d", "fc1": "last"}
    assert paired(graph, layers, names) is None


def test_branches_that_are_alike_may_change_places():
    """The sum of two convolutions of one map is the same whichever is which."""
    text = "network sum {\n input image [2, 4, 4]\n add { l: conv(3, 3) | r: conv(3, 3) }\n}\n"
    graph, layers = graph_and_layers(text)
    assert paired(graph, layers, {"l": "x", "r": "y"}) is not None
    text = text.replace("r: conv(3, 3)", "r: conv(3, 3) -> relu")
    graph, layers = graph_and_layers(text)
    names = dict(zip((layer.name for layer in layers), "xy", strict=True))
    assert paired(graph, layers, names) is None


def test_lists_that_are_called_from_elsewhere_are_not_taken_for_sequences():
    """`body` may be a list of which the second member runs last."""
    text = (
        "network chain {\n input image [3, 8, 8]\n"
        " conv(4, 3) -> relu -> conv(4, 3) -> relu -> conv(4, 3)\n}\n"
    )
    graph, layers = graph_and_layers(text)
    names = {"conv1": "body.0", "conv2": "extra", "conv3": "body.1"}
    assert paired(graph, layers, names) is None


COUNTED = """
network counted {{
    input image [4, 8, 8]
    {0}: conv(4, 3)
    relu
    {1}: conv(4, 3)
    relu
    {2}: conv(4, 3)
}}
"""


@pytest.mark.parametrize("labels", [("layer3", "layer1", "layer2"), ("b1", "b3", "b2")])
def test_labels_that_count_against_the_file_are_not_paired_by_numbers(labels):
    graph, layers = graph_and_layers(COUNTED.format(*labels))
    given = dict(zip(labels, ("body.layer1", "body.layer2", "body.layer3"), strict=True))
    assert paired(graph, layers, given) is None


@pytest.mark.parametrize("labels", [("b1", "b2", "b10"), ("stem", "middle", "last")])
def test_labels_that_do_not_contradict_are_paired_by_numbers(labels):
    graph, layers = graph_and_layers(COUNTED.format(*labels))
    given = dict(zip(labels, ("features.0", "features.3", "features.12"), strict=True))
    assert paired(graph, layers, given) == given


SCALED = """
network scaled {
    input image [4, 8, 8]
    for i in range(2) {
        block{i}: { add { identity | group_norm(1) -> conv(4, 3) -> layer_scale }
                    add { identity | group_norm(1) -> conv(4, 1) -> layer_scale } }
    }
}
"""


@pytest.mark.parametrize("factor", ["ls{}.gamma", "layer_scale{}.scale", "gamma_{}"])
@pytest.mark.parametrize("ones", [(), (1, 1)])
def test_factors_of_channels_without_a_module_of_their_own(factor: str, ones: tuple[int, ...]):
    graph = cnndsl.parse(SCALED).graph
    shapes, wanted = {}, {}
    for i in range(2):
        for j, kernel in ((1, 3), (2, 1)):
            for ours, theirs in (("group_norm", "norm"), ("conv", "mlp")):
                wanted |= {
                    f"block{i}.{ours}{j}.{role}": f"blocks.{i}.{theirs}{j}.{role}"
                    for role in ("weight", "bias")
                }
            name = f"blocks.{i}.{factor.format(j)}"
            wanted[f"block{i}.layer_scale{j}.weight"] = name
            shapes[name] = (4, *ones)
            shapes[f"blocks.{i}.mlp{j}.weight"] = (4, 4, kernel, kernel)
    shapes |= {name: (4,) for name in wanted.values() if name not in shapes}
    assert pair(shapes, graph, "auto", "scaled").names == wanted


SCALES = """
block unit {{ conv(2, 3) -> relu }}
network scales {{
    input image [6, 8, 8]
    conv(6, 1) -> relu
    let {0} = slice({1}) -> {3} unit
    let {2} = slice({5}) -> {4} unit
    first: concat {{ {6} | slice(4, 6) }}
    conv(6, 3) -> relu
    let one = slice(0, 2) -> unit
    let two = add {{ slice(2, 4) | one }} -> unit
    {7}: concat {{ {8} | slice(4, 6) }}
    conv(5, 3)
}}
"""
AS_WRITTEN = ("a", "0, 2", "b", "", "", "2, 4", "a | b", "second", "one | two")


def scales(**changes: str) -> tuple[Graph, list[Layer]]:
    """Two layers side by side, then two in sequence; changes by the place in the text."""
    places = [changes.get(f"at{i}", text) for i, text in enumerate(AS_WRITTEN)]
    return graph_and_layers(SCALES.format(*places))


def in_lists(layers: list[Layer], member: str = "convs") -> dict[str, str]:
    """The layers' names, those of two channels in lists."""
    names = [
        "stem",
        f"b1.{member}.0",
        f"b1.{member}.1",
        "b1.end",
        "b2.convs.0",
        "b2.convs.1",
        "b2.end",
    ]
    return dict(zip((layer.name for layer in layers), names, strict=True))


def test_lists_in_sequence_tell_the_order_of_lists_side_by_side():
    graph, layers = scales()
    names = in_lists(layers)
    assert paired(graph, layers, names) == names


@pytest.mark.parametrize(
    "changes",
    [
        {"at6": "b | a"},
        {"at8": "two | one"},
        {"at3": "x2:", "at4": "x1:"},
    ],
    ids=["joined otherwise", "the sequence joined otherwise", "labels that count down"],
)
def test_what_contradicts_the_order_of_lists_is_refused(changes: dict[str, str]):
    graph, layers = scales(**changes)
    assert paired(graph, layers, in_lists(layers)) is None


def test_lists_of_other_names_tell_nothing():
    graph, layers = scales()
    assert paired(graph, layers, in_lists(layers, "paths")) is None
