"""Which network a name refers to: files, imports, the zoo, settings, input shapes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cnndsl
from tests.language.support import network

TWO = """\
network first(classes=10) { input x [3, 8, 8]
    fc(classes) }
network second = first(20)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "two.cnn").write_text(TWO)
    return tmp_path


def codes(spec: str | Path) -> list[str]:
    return [finding.code for finding in cnndsl.check(spec)]


def raised(spec: str) -> list[str]:
    with pytest.raises(cnndsl.CnnError) as caught:
        cnndsl.parse(spec)
    return [finding.code for finding in caught.value.diagnostics]


def test_a_network_by_file_and_name(folder: Path) -> None:
    assert cnndsl.parse(f"{folder}/two.cnn:second").name == "second"
    assert raised(f"{folder}/two.cnn") == ["E0215"]
    assert raised(f"{folder}/two.cnn:third") == ["E0215"]


def test_a_file_that_is_named_like_one_of_its_networks_means_it(folder: Path) -> None:
    (folder / "first.cnn").write_text(TWO)
    assert cnndsl.parse(folder / "first.cnn").name == "first"


def test_a_missing_file_may_name_a_network_of_another_file_beside_it(folder: Path) -> None:
    assert cnndsl.parse(folder / "second.cnn").name == "second"
    assert cnndsl.parse(folder / "second.cnn").file == str(folder / "two.cnn")
    assert raised(str(folder / "third.cnn")) == ["E0601"]


def test_a_bare_name_is_one_of_the_zoo() -> None:
    assert cnndsl.parse("resnet101").graph.parameters() == (
        cnndsl.parse("networks/resnet.cnn:resnet101").graph.parameters()
    )
    assert raised("resnet_101_") == ["E0601"]


def test_a_network_that_needs_arguments_is_checked_only_by_those_that_give_them(
    folder: Path,
) -> None:
    (folder / "open.cnn").write_text(
        "network base(width) { input x [3, 8, 8]\n conv(width, 3, groups=3) }\n"
        "network fine = base(6)\nnetwork wrong = base(7)\n"
    )
    findings = cnndsl.check(folder / "open.cnn")
    assert [finding.code for finding in findings] == ["E0302"]
    assert findings[0].trail[0].text == "in network wrong"
    assert codes(f"{folder}/open.cnn:fine") == []


def test_settings_replace_parameters_and_alias_arguments(folder: Path) -> None:
    spec = f"{folder}/two.cnn:second"
    assert cnndsl.parse(spec).graph.parameters()["fc1.bias"].shape == (20,)
    changed = cnndsl.parse(spec, settings={"classes": 7})
    assert changed.graph.parameters()["fc1.bias"].shape == (7,)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("silu", ["silu"]),
        ("leaky_relu(slope=0.5)", ["leaky_relu"]),
        ("identity", []),
        ("twice(conv(2, 1))", ["conv", "conv"]),
    ],
)
def test_settings_can_be_operators_and_blocks(folder: Path, text: str, kinds: list[str]) -> None:
    (folder / "part.cnn").write_text(
        "block twice(what) { what -> what }\n"
        'network base(after=relu, mode="max") { input x [2, 8, 8]\n'
        'after\n if mode == "max" { tanh } }\n'
    )
    (folder / "main.cnn").write_text('import base from "part.cnn"\nnetwork mine = base(bn)\n')
    net = cnndsl.parse(folder / "main.cnn", settings={"after": text, "mode": "max"})
    assert [node.op.name for node in net.graph.nodes()][1:-1] == kinds


@pytest.mark.parametrize(
    ("network", "text", "kind", "count"),
    [
        ("resnet18", "basic(after=drop_path(0.2))", "drop_path", 8),
        ("resnet101", "bottleneck(after=stochastic_depth(0.8))", "stochastic_depth", 33),
        ("se_resnet50", "bottleneck(v1=true, after=se(ratio=4))", "mul", 16),
    ],
)
def test_settings_take_the_place_of_operators_in_a_call(
    network: str, text: str, kind: str, count: int
) -> None:
    net = cnndsl.parse(network, settings={"unit": text})
    assert sum(node.op.name == kind for node in net.graph.nodes()) == count
    with pytest.raises(cnndsl.CnnError, match=r"E0201.* unknown name 'nothing'"):
        cnndsl.parse(network, settings={"unit": re.sub(r"after=\w+", "after=nothing", text)})


def test_input_shapes_replace_declared_ones(folder: Path) -> None:
    net = cnndsl.parse(f"{folder}/two.cnn:first", input_shapes={"x": (5, 2, 2)})
    assert net.graph.parameters()["fc1.weight"].shape == (10, 20)


def test_imports_are_looked_up_beside_the_file_and_then_in_the_zoo(folder: Path) -> None:
    (folder / "blocks").mkdir()
    (folder / "blocks" / "unit.cnn").write_text(
        'import end from "end.cnn"\nblock unit { conv(4, 3) -> end }\n'
    )
    (folder / "blocks" / "end.cnn").write_text("block end { relu }\n")
    (folder / "squeezenet.cnn").write_text("block fire { tanh }\n")
    (folder / "main.cnn").write_text(
        'import unit from "blocks/unit.cnn"\nimport fire from "squeezenet.cnn"\n'
        'import se from "squeeze_excitation.cnn"\n' + network("unit -> fire -> se(2)")
    )
    assert codes(folder / "main.cnn") == []
    names = [node.name for node in cnndsl.parse(folder / "main.cnn").graph.nodes()]
    assert names[1:4] == ["unit1.conv1", "unit1.end1.relu1", "fire1.tanh1"]


def test_an_imported_block_sees_its_own_file_only(folder: Path) -> None:
    (folder / "part.cnn").write_text(
        "defaults conv(bias=false)\n"
        "block inner { conv(4, 1) }\n"
        "block part { inner -> conv(4, 3) }\n"
    )
    before = 'import part from "part.cnn"\ndefaults conv(stride=2)\nblock inner { tanh }'
    (folder / "main.cnn").write_text(network("part -> inner", before))
    net = cnndsl.parse(folder / "main.cnn")
    assert list(net.graph.parameters()) == ["part1.inner1.conv1.weight", "part1.conv1.weight"]
    assert str(net.graph["part1.conv1"].type) == "4x8x8"


def test_imported_networks_can_be_called_and_are_not_checked_again(folder: Path) -> None:
    (folder / "main.cnn").write_text(
        'import first from "two.cnn"\nnetwork mine = first(classes=3)\n'
    )
    net = cnndsl.parse(folder / "main.cnn")
    assert (net.name, len(net.graph.parameters()["fc1.bias"].shape)) == ("mine", 1)
    assert codes(folder / "main.cnn") == []


def test_a_long_circle_of_imports_is_named(folder: Path) -> None:
    for name, other in zip("abc", "bca", strict=True):
        (folder / f"{name}.cnn").write_text(
            f'import {other} from "{other}.cnn"\nblock {name} {{ relu }}\n'
        )
    findings = cnndsl.check(folder / "a.cnn")
    messages = [finding.message for finding in findings if finding.code == "E0216"]
    assert messages == ["imports go in a circle: a.cnn -> b.cnn -> c.cnn -> a.cnn"]


def test_a_diamond_of_imports_is_no_circle(folder: Path) -> None:
    (folder / "base.cnn").write_text("block base { relu }\n")
    for name in ("left", "right"):
        (folder / f"{name}.cnn").write_text(
            f'import base from "base.cnn"\nblock {name} {{ base }}\n'
        )
    before = 'import left from "left.cnn"\nimport right from "right.cnn"'
    (folder / "main.cnn").write_text(network("left -> right", before))
    assert codes(folder / "main.cnn") == []


def test_the_same_text_gives_the_same_graph_and_hash() -> None:
    first, second = cnndsl.parse("densenet121"), cnndsl.parse("densenet121")
    assert first.source_hash == second.source_hash
    assert list(first.graph.nx.edges(keys=True)) == list(second.graph.nx.edges(keys=True))
    assert list(first.graph.parameters()) == list(second.graph.parameters())


def test_the_hash_depends_on_imported_texts(folder: Path) -> None:
    (folder / "part.cnn").write_text("block part { relu }\n")
    (folder / "main.cnn").write_text(network("part", 'import part from "part.cnn"'))
    before = cnndsl.parse(folder / "main.cnn").source_hash
    (folder / "part.cnn").write_text("block part { relu  }\n")
    assert cnndsl.parse(folder / "main.cnn").source_hash != before
