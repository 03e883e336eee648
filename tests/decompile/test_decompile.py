"""Texts of graphs: each makes its graph again, is canonical, and says nothing twice."""

import pytest
from hypothesis import given, settings

from cnndsl.api import parse
from cnndsl.decompile import decompile
from cnndsl.format import format_source
from cnndsl.ir.operators.join import Concat
from cnndsl.ir.operators.structure import Identity
from cnndsl.passes.pipeline import optimise
from tests.passes.random_graphs import samples


def shapes_of(node):
    return {role: expression.shape for role, expression in node.params.items()}


def flat(graph, node):
    """The names of a node's operands; concatenations of concatenations may be nested otherwise."""
    found = []
    for producer in graph.producers(node):
        while isinstance(producer.op, Identity):
            (producer,) = graph.producers(producer)
        both = isinstance(node.op, Concat) and isinstance(producer.op, Concat)
        found += flat(graph, producer) if both else [producer.name]
    return found


def rebuilt(graph, name="network"):
    """The text of a graph, whose graph is compared with it node by node."""
    result = decompile(graph, name)
    assert format_source(result.text) == result.text
    made = parse(result.text).graph
    assert set(result.names) == set(graph.nx)
    for node in graph.nodes():
        other = made[result.names[node.name]]
        if isinstance(node.op, Identity):
            assert result.names[graph.producers(node)[0].name] == other.name
            continue
        assert node.op == other.op
        assert node.type == other.type
        assert shapes_of(node) == shapes_of(other)
        names = [result.names[name] for name in flat(graph, node)]
        assert names == flat(made, other)
    assert [result.names[name] for name in graph.inputs] == made.inputs
    outputs = [(name, result.names[node]) for name, node in graph.outputs.items()]
    assert outputs == list(made.outputs.items())
    return result.text


@given(samples())
@settings(max_examples=15)
def test_any_graph_has_a_text(sample):
    rebuilt(sample.graph)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("resnet18", 16),
        ("squeezenet1_1", 15),
        ("vgg11", 12),
        ("mobilenet_v2", 17),
        ("googlenet", 24),
        ("densenet_bc_cifar_L40_k12", 14),
        ("grouped_shuffled", 12),
        ("lenet5", 8),
        ("unet_2015", 15),
    ],
)
def test_texts_of_the_zoo_are_short(name, lines):
    text = rebuilt(parse(name).graph)
    assert sum(bool(line.strip()) for line in text.splitlines()) <= lines


def text_of(body, blocks=""):
    """The text that a network comes back as."""
    source = f"{blocks}\nnetwork net {{\n    input image [8, 16, 16]\n{body}\n}}\n"
    return rebuilt(parse(source).graph, "net")


def test_written_by_hand_and_back():
    text = """\
defaults conv(bias=false)

block bottleneck(filters, stride=1) {
    add { conv(filters, 1) -> bn -> relu -> conv(filters, 3, stride=stride) -> bn -> relu
          -> conv(4*filters, 1) -> bn
        | if channels != 4*filters { conv(4*filters, 1, stride=stride) -> bn } } -> relu
}

network small {
    input image [3, 32, 32]
    conv(8, 3) -> bn -> relu
    repeat 3 { bottleneck(8) }
    for filters, count in [[16, 3], [32, 5], [64, 2]] {
        bottleneck(filters, 2)
        repeat count { bottleneck(filters) }
    }
    global_avgpool -> fc(10) -> softmax
}
"""
    assert rebuilt(parse(text).graph, "small") == text


def test_features_concatenated_at_once_become_a_loop():
    layers = """
    let a = conv(4, 3) -> relu
    concat { image | a }
    let b = conv(4, 3) -> relu
    concat { image | a | b }
    let c = conv(4, 3) -> relu
    concat { image | a | b | c }
    """
    text = decompile(parse(f"network n {{ input image [8, 9, 9]\n{layers}\n}}").graph, "n").text
    assert "repeat 3 { concat { identity | conv(4, 3) -> relu } }" in text


def test_layers_and_values_that_are_used_again():
    text = text_of(
        """
    layer step = conv(8, 3)
    let start = relu
    step -> relu
    repeat 3 { add { start | step } -> relu }
    """
    )
    assert text.count("layer") == 1
    assert "repeat 2 { relu -> shared -> add { x | identity } }" in text


def test_names_of_the_graph_that_the_language_cannot_read():
    graph = parse("network n { input image [3, 8, 8]\n conv(4, 3) -> relu }").graph
    graph.outputs = {"out/1:0": graph.outputs["output"], "relu": "conv1"}
    result = decompile(graph, "2 networks")
    made = parse(result.text).graph
    assert made.name == "_2_networks"
    assert list(made.outputs) == ["out_1_0", "relu2"]


def test_the_only_output_has_a_name_and_its_network_blocks():
    unit = "add { conv(8, 3) -> relu -> conv(8, 3) | identity } -> relu"
    text = text_of(
        f"    repeat 3 {{ {unit} }}\n    output odds = global_avgpool -> fc(9) -> softmax"
    )
    assert "repeat 3 {" in text
    assert "    global_avgpool -> fc(9)\n    output odds = softmax\n" in text


def test_open_sizes_and_auxiliary_outputs():
    text = """
    network n {
        input image [3, H, W]
        input other [3, H, W]
        conv(4, 3) -> relu
        auxiliary head(weight=0.5) = global_avgpool -> fc(2)
        add { identity | image -> conv(4, 1) }
        output a = global_maxpool
    }
    """
    assert "[3, H, W]" in rebuilt(parse(text).graph)


def test_operators_that_passes_have_fused_have_no_text():
    graph = parse("network n { input image [3, 8, 8]\n conv(4, 3) -> bn -> relu }").graph
    with pytest.raises(ValueError, match="fused"):
        decompile(optimise(graph)[0], "n")


def test_a_branch_that_is_most_of_a_network_is_none():
    layers = " -> ".join(f"conv({width}, 3) -> tanh" for width in range(9, 20))
    text = f"network n {{ input image [8, 9, 9]\nadd {{ conv(19, 1) | {layers} }}\n}}"
    made = rebuilt(parse(text).graph, "n")
    assert "add { image -> conv(19, 1) | identity }" in made


def test_branches_that_differ_in_values_are_a_loop():
    heads = "\n| ".join(f"slice({2 * i}, {2 * i + 2}) -> conv(4, 1)" for i in range(4))
    body = f"concat {{ {heads} }}\nadd {{ identity | conv(16, 1) }} -> relu"
    text = text_of(body)
    assert "concat { slice(2*i, 2*i + 2) -> conv(4, 1) for i in range(4) }" in text
    rates = " | ".join(f"conv(8, 3, dilation={rate}) -> relu" for rate in (1, 6, 12, 24))
    text = text_of(f"let x = conv(8, 1)\nconcat {{ x | {rates} }}")
    assert "| conv(8, 3, dilation=dilation) -> relu for dilation in [1, 6, 12, 24] }" in text


def test_blocks_with_numbered_branches_are_one():
    block = "block heads(filters) {{ concat {{ {} }} -> conv(8, 1) -> relu }}".format(
        " | ".join(f"slice({2 * i}, {2 * i + 2}) -> conv(filters, 1)" for i in range(4))
    )
    text = text_of("heads(4)\nmaxpool(2) -> heads(8)\nmaxpool(2) -> heads(16)", block)
    assert text.count("range(4)") == 1
