"""Parts that are taken out or change places: the text, the names, and what the network computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnndsl
from cnndsl.cli.main import main
from cnndsl.diagnostics import CnnError
from cnndsl.edit.network import Edited
from cnndsl.edit.parts import units
from cnndsl.edit.rearrange import rearrange
from cnndsl.format.formatter import format_source

Array = np.ndarray[Any, Any]
UNITS = """block unit(width) {
    add { conv(width, 3) -> relu -> conv(width, 3) | identity } -> relu
}
block two(width) { repeat 2 { unit(width) } }
"""
UNIT = "unit(4)"
PATHS = tuple(f"a.{number}" for number in range(4))
CASES = {
    "a: repeat 4 { unit(4) }": dict.fromkeys(PATHS, UNIT),
    "a: for j in range(4) { unit(4 if j < 4 else 5) }": dict.fromkeys(PATHS, UNIT),
    "a: for w, k in [[4, 3], [4, 1], [4, 5], [4, 1]] { conv(w, k) -> relu }": {
        path: f"{{ conv(4, {k}) -> relu }}" for path, k in zip(PATHS, (3, 1, 5, 1), strict=True)
    },
    "unit(4) -> unit(4)\n unit(4) -> unit(4) -> relu": dict.fromkeys(
        ("unit1", "unit2", "unit3", "unit4"), UNIT
    ),
    "a: unit(4) -> b: unit(4) -> relu\n c: unit(4)\n d: { unit(4) -> relu }": {
        "a": UNIT, "b": f"{{ {UNIT} -> relu }}", "c": UNIT, "d": f"{{ {UNIT} -> relu }}"
    },
    "for i in range(2) { a{i}: for j in range(2) { unit(4) } }": dict.fromkeys(
        ("a0.0", "a0.1", "a1.0", "a1.1"), UNIT
    ),
    "for i in range(2) { repeat 2 { unit(4) } }": dict.fromkeys(
        ("unit1", "unit2", "unit3", "unit4"), UNIT
    ),
}  # fmt: skip


def text_of(chain: str) -> str:
    return f"{UNITS}\nnetwork n {{\n input x [4, 5, 5]\n {chain}\n}}"


def edited(
    text: str, deletions: tuple[str, ...] = (), swaps: tuple[tuple[str, str], ...] = ()
) -> Edited:
    return rearrange(text, deletions, swaps, output=Path("new.cnn"))


def run(text: str, weights: dict[str, Array], x: Array) -> Array:
    own = {name: weights[name] for name in cnndsl.parse(text).graph.parameters()}
    result: Array = cnndsl.compile(text, target="reference", weights=own)(x)
    return result


def applied(paths: list[str], parts: dict[str, str], weights: dict[str, Array], x: Array) -> Array:
    """One part after another, each as a network of its own."""
    for path in paths:
        own = {
            f"part{n[len(path) :]}": array
            for n, array in weights.items()
            if n.startswith(f"{path}.")
        }
        x = run(text_of(f"part: {parts[path]}"), own, x)
    return x


@pytest.mark.parametrize("chain", CASES)
def test_what_stays_keeps_its_names_and_weights(chain: str) -> None:
    random = np.random.default_rng(0)
    parts, text = CASES[chain], text_of(chain)
    parameters = cnndsl.parse(text).graph.parameters().values()
    weights = {p.name: random.normal(0, 0.3, p.shape).astype(np.float32) for p in parameters}
    x = random.standard_normal((2, 4, 5, 5)).astype(np.float32)
    first, second, third, fourth = parts
    cases = [(edited(text, (second,)), [first, third, fourth])]
    if "repeat 2" not in chain and "i in range(2)" not in chain:
        swap = ((second, fourth),)
        cases.append((edited(text, (), swap), [first, fourth, third, second]))
        cases.append((edited(text, (first,), swap), [fourth, third, second]))
    for found, order in cases:
        assert format_source(found.text) == found.text
        arrays, errors = found.weights(weights)
        assert arrays.keys() == found.after.parameters().keys() <= weights.keys()
        assert errors == found.replaced == {}
        expected = applied(order, parts, weights, x)
        np.testing.assert_allclose(run(found.text, arrays, x), expected, rtol=1e-5, atol=1e-6)


def test_a_swap_under_a_condition() -> None:
    text = text_of("for i in range(2) { a{i}: for j in range(2) { unit(4) } }")
    found = edited(text, (), (("a1.0", "a1.1"),))
    assert "for j in [1, 0] if i == 1 else range(2)" in found.text
    order = [name for name in found.after.nx if name.endswith("add1")]
    assert order == ["a0.0.add1", "a0.1.add1", "a1.1.add1", "a1.0.add1"]


@pytest.mark.parametrize(
    ("chain", "deletions", "swaps", "code", "said"),
    [
        ("unit(4) -> conv(6, 3)", ("unit2",), (), "E0622", "did you mean 'unit1'"),
        ("a: { unit(4) -> conv(6, 3) }", ("a",), (), "E0623", "makes 6x5x5 of 4x5x5"),
        ("a: unit(4) -> b: { maxpool(2) -> unit(4) }", (), (("a", "b"),), "E0623", "shapes"),
        ("a: { unit(4) -> unit(4) }", (), (("a", "a.unit1"),), "E0623", "inside another"),
        ("let x2 = conv(4, 1)\n a: { add { conv(4, 1) | x2 } }", ("a",), (), "E0623", "goes into"),
        ("two(4) -> two(4)", ("two1.unit2",), (), "E0623", "the text cannot say"),
        (
            "for i, w in [[0, 4], [1, 4]] { s{i}: for j in range(2) { unit(w) } }",
            ("s0.1",), (), "E0623", "begin that loop by a counter",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be(
    chain: str, deletions: tuple[str, ...], swaps: tuple[tuple[str, str], ...], code: str, said: str
) -> None:
    with pytest.raises(CnnError, match=said) as error:
        edited(text_of(chain), deletions, swaps)
    assert error.value.diagnostics[0].code == code


def test_the_units_of_residual_networks() -> None:
    """All but the two that halve the maps of ResNet-110; torchvision's MobileNetV2 adds in ten."""
    assert len(units(cnndsl.parse("resnet110_cifar").graph)) == 52
    found = units(cnndsl.parse("mobilenet_v2").graph)
    assert (len(found), found[0]) == (10, "inverted_residual3")


def test_the_command_writes_a_network_of_the_zoo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.cnn"
    moves = ["--delete", "conv2_x.1", "--swap", "conv3_x.1", "conv3_x.2"]
    assert main(["edit", "resnet20_cifar", *moves, "-o", str(new)]) == 0
    assert capsys.readouterr().out == f"{new}:resnet20_cifar\n"
    assert main(["fmt", "--check", str(new)]) == 0
    assert main(["check", str(new)]) == 0
    before, after = (
        set(cnndsl.parse(n).graph.nx) for n in ("resnet20_cifar", f"{new}:resnet20_cifar")
    )
    assert before - after == {name for name in before if name.startswith("conv2_x.1.")}
    assert after < before
    assert main(["edit", "resnet20_cifar", "-o", str(new)]) == 2
    assert main(["edit", "resnet20_cifar", *moves, "--between", "relu", "-o", str(new)]) == 2
