"""Generated modules without PyTorch: a stand-in records which modules they are made of."""

from types import SimpleNamespace

import pytest

import cnndsl
from cnndsl.backends.torch.names import TAKEN as TAKEN_BY_PYTORCH
from cnndsl.backends.torch.plain import plain
from cnndsl.backends.torch.source import library, library_parts, source_of
from cnndsl.ir.expressions import Parameter

NETWORKS = ["lenet5", "resnet50", "googlenet_aux", "shufflenet_v2_x0_5", "fractalnet"]


class Module:
    """Keeps the modules that are assigned to it."""

    def __init__(self, *rows, **named):
        self._modules = {str(i): m for i, m in enumerate(rows) if isinstance(m, Module)}

    def __setattr__(self, name, value):
        if isinstance(value, Module):
            self._modules[name] = value
        else:
            object.__setattr__(self, name, value)

    def paths(self, prefix=""):
        for name, module in self._modules.items():
            yield f"{prefix}{name}"
            yield from module.paths(f"{prefix}{name}.")


def network_of(source):
    """The network that a text defines, made of stand-ins."""
    layer = {"Module": Module, "Sequential": Module}
    nn = SimpleNamespace(**layer)
    for name in ("Conv2d", "BatchNorm2d", "Linear", "Dropout", "LayerNorm", "PReLU", "GroupNorm"):
        setattr(nn, name, type(name, (Module,), {}))
    lines = [line for line in source.splitlines() if not line.startswith(("import", "from"))]
    names = {"__name__": "made", "nn": nn, "Tensor": object, "Any": object}
    exec("from __future__ import annotations\n" + "\n".join(lines), names)
    return [v for v in names.values() if isinstance(v, type) and v.__module__ == "made"][-1]()


@pytest.mark.parametrize("name", NETWORKS)
def test_modules_have_the_paths_of_the_weights(name):
    graph = cnndsl.parse(name).graph
    source = source_of(plain(graph))
    compile(source, name, "exec")
    modules = set(network_of(source).paths())
    assert {parameter.rpartition(".")[0] for parameter in graph.parameters()} <= modules


def test_blocks_are_classes_with_the_parameters_of_the_text():
    text = source_of(plain(cnndsl.parse("resnet50").graph))
    assert "class Bottleneck(nn.Module):" in text
    assert "    def __init__(self, channels, width, stride):" in text
    assert "self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)" in text
    assert "(resnet50.cnn, lines" in text
    assert max(map(len, text.splitlines())) <= 100


def test_an_auxiliary_head_is_told_apart_where_it_is_called_alone():
    text = source_of(plain(cnndsl.parse("googlenet_aux").graph))
    head, _, network = text.partition("class GooglenetAux(")
    assert "self.training" not in head
    assert network.count("if self.training:") == 3


def test_a_shared_layer_is_one_module():
    net = cnndsl.parse(
        "network twice {\n input image [4, 8, 8]\n layer u = conv(4, 3)\n"
        " u -> relu -> u -> relu -> u\n}\n"
    )
    text = source_of(plain(net.graph))
    assert text.count("nn.Conv2d(") == 1
    assert text.count("self.u(") == 3


def test_a_part_that_others_run_between_is_written_out():
    """The shared layer belongs to the network, and is applied inside of the part."""
    net = cnndsl.parse(
        "network between {\n input image [4, 8, 8]\n layer u = conv(4, 3)\n"
        " part: { conv(4, 1) -> u -> conv(4, 1) }\n}\n"
    )
    text = source_of(plain(net.graph))
    assert "self.part['conv2'](" in text
    assert "self.u(" in text


def test_names_that_python_takes_are_no_attributes():
    net = cnndsl.parse(
        "network odd {\n input image [4, 8, 8]\n train: conv(4, 3)\n lambda: conv(4, 3)\n}\n"
    )
    text = source_of(plain(net.graph))
    compile(text, "odd", "exec")
    assert "self._modules['train'](" in text
    assert "self._modules['lambda'](" in text


TAKEN = """
block unit({name}) {{ let y = {label}: conv(4, 1)
    y -> leaky_relu({name}) }}
block {block} {{ conv(4, 3) -> bn -> relu }}
network n {{ input x [4, 8, 8]
    unit(0.1) -> unit(0.2) -> unit(0.3) -> {block} -> {block} }}
"""


@pytest.mark.parametrize(
    ("name", "label", "block"),
    [("training", "conv9", "FALSE"), ("slope", "slope", "none"), ("__a", "_modules", "False"),
     ("forward", "forward_", "True"), ("range", "range", "_range"), ("_modules", "half", "None")],
)  # fmt: skip
def test_what_a_class_keeps_has_the_name_of_nothing_else(name, label, block):
    graph = cnndsl.parse(TAKEN.format(name=name, label=label, block=block)).graph
    network = network_of(source_of(plain(graph)))
    modules = set(network.paths())
    assert {parameter.rpartition(".")[0] for parameter in graph.parameters()} <= modules
    for number, slope in enumerate((0.1, 0.2, 0.3), 1):
        unit = network._modules[f"unit{number}"]
        kept = {key: value for key, value in vars(unit).items() if key != "_modules"}
        assert list(kept.values()) == [slope]
        assert not kept.keys() & {*unit._modules, *TAKEN_BY_PYTORCH}
        assert not any(key.startswith("_") for key in kept)


def test_an_input_has_not_the_name_of_a_function():
    net = cnndsl.parse("network n { input max_pool [4, 8, 8]\n maxpool(3, pad=same_upper) }")
    text = source_of(plain(net.graph))
    assert "def forward(self, max_pool_):" in text


def test_a_part_called_as_the_mode_of_pytorch_is_refused():
    net = cnndsl.parse("network n { input x [4, 8, 8]\n training: conv(4, 3) }")
    with pytest.raises(cnndsl.CnnError, match="E0751"):
        source_of(plain(net.graph))


def test_a_module_has_what_it_needs_of_the_library_alone():
    parts = library_parts("max_pool(x)")
    assert [part.split("(")[0] for part in parts] == ["def padded", "def max_pool"]
    assert len(library()) > 20


def test_parameters_of_edited_graphs_are_those_of_the_graph():
    graph = cnndsl.parse("lenet5").graph
    found = plain(graph)
    assert {n: e for n, e in found.expressions.items() if isinstance(e, Parameter)} == (
        graph.parameters()
    )


def test_passes_are_not_for_a_module_to_train():
    with pytest.raises(cnndsl.CnnError, match="as they are written"):
        cnndsl.compile("lenet5", target="torch", level=3)
