"""The names of instances and weights."""

from __future__ import annotations

import pytest

from tests.language.support import findings, graph, nodes

UNIT = "block unit(width) { conv(width, 3) -> relu }"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("conv(4, 3) -> relu -> conv(4, 3)", ["conv1", "relu1", "conv2"]),
        ("stem: conv(4, 3) -> act: relu", ["stem", "act"]),
        ("stem: conv(4, 3) -> bn -> relu", ["stem.conv1", "stem.bn1", "stem.relu1"]),
        ("relu -> a: conv(4, 3) -> tanh -> b: relu", ["relu1", "a.conv1", "a.tanh1", "b"]),
        ("let y = relu\n s: y -> tanh -> relu", ["relu1", "s.tanh1", "s.relu1"]),
        ("s: unit(4) -> relu", ["s.unit1.conv1", "s.unit1.relu1", "s.relu1"]),
        ("s: { relu } -> tanh", ["s.relu1", "tanh1"]),
        ("s: repeat 2 { relu } -> tanh", ["s.0", "s.1", "tanh1"]),
        ("s: add { identity | relu } -> tanh", ["relu1", "s", "tanh1"]),
        ("stem: { conv(4, 3) -> relu }", ["stem.conv1", "stem.relu1"]),
        ("{ conv(4, 3) -> relu }", ["conv1", "relu1"]),
        ("repeat 2 { conv(4, 3) }", ["conv1", "conv2"]),
        ("s: repeat 2 { conv(4, 3) }", ["s.0", "s.1"]),
        (
            "s: repeat 2 { conv(4, 3) -> relu }",
            ["s.0.conv1", "s.0.relu1", "s.1.conv1", "s.1.relu1"],
        ),
        ("s: repeat 1 { unit(4) }", ["s.0.conv1", "s.0.relu1"]),
        ("unit(4) -> unit(4)", ["unit1.conv1", "unit1.relu1", "unit2.conv1", "unit2.relu1"]),
        ("last: unit(4)", ["last.conv1", "last.relu1"]),
        ("for i in range(2) { c{i+2}_x: conv(4, 3) }", ["c2_x", "c3_x"]),
        ('for n in ["a", "b"] { {n}: relu }', ["a", "b"]),
        ("add { identity | conv(3, 3) }", ["conv1", "add1"]),
        ("total: add { side: conv(3, 3) | relu }", ["side", "relu1", "total"]),
        ("if true { relu } -> b: if true { relu }", ["relu1", "b.relu1"]),
        ("conv1: relu\n conv(4, 3)", ["conv1", "conv2"]),
        ("identity -> here: identity", ["here"]),
    ],
)
def test_names_of_instances(body: str, expected: list[str] | None) -> None:
    if expected is None:
        assert findings(body, UNIT) != []
    else:
        before = UNIT if "unit" in body else ""
        assert nodes(body, before) == expected


def test_weights_are_named_by_path_and_role() -> None:
    found = graph("s: repeat 1 { unit(4) } -> bn -> fc: fc(2, bias=false)", UNIT).parameters()
    shapes = {name: parameter.shape for name, parameter in found.items()}
    assert shapes == {
        "s.0.conv1.weight": (4, 3, 3, 3),
        "s.0.conv1.bias": (4,),
        "bn1.weight": (4,),
        "bn1.bias": (4,),
        "bn1.running_mean": (4,),
        "bn1.running_var": (4,),
        "fc.weight": (2, 4 * 8 * 8),
    }


def test_a_layer_is_one_set_of_weights_however_often_it_is_applied() -> None:
    shared = graph("layer U = unit(3)\n U -> U -> U", UNIT)
    assert list(shared.parameters()) == ["U.conv1.weight", "U.conv1.bias"]
    names = [node.name for node in shared.nodes()][1:]
    assert names[::2] == ["U.conv1", "U@2.conv1", "U@3.conv1"]
    kernels = [shared[name].params["weight"] for name in names[::2]]
    assert kernels[0] == kernels[1] == kernels[2]


def test_a_layer_of_a_block_belongs_to_the_instance() -> None:
    before = "block twice { layer U = conv(3, 3)\n U -> U }"
    found = graph("twice -> twice", before)
    names = ["twice1.U", "twice1.U@2", "twice2.U", "twice2.U@2"]
    assert [node.name for node in found.nodes()][1:] == names
    assert len(found.parameters()) == 4


def test_the_scopes_tell_what_a_path_is_an_instance_of() -> None:
    found = graph("s: repeat 1 { unit(4) }\n g: { relu }\n auxiliary h(weight=1) = fc(2)", UNIT)
    assert found.scopes == {"s": "loop", "s.0": "unit", "g": "group", "h": "auxiliary"}


def test_labels_directly_in_a_network_are_its_stages() -> None:
    found = graph("stem: conv(4, 3) -> relu\n body: repeat 2 { unit(4) }\n fc(2)", UNIT)
    assert found.stages == [("stem", "stem.relu1"), ("body", "body.1.relu1")]
