"""Pruning by magnitude, and what sparse and repeated numbers take, by counting."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl
from cnndsl.weights.initialise import initialise
from cnndsl.weights.sparsity import prunable, prune, stored, whole

TEXT = """
network small {
    input image [3, 8, 8]
    stem: conv(8, 3) -> bn -> relu
    for i in range(2) { body_{i}: { conv(8, 3, bias=false) -> prelu } }
    out: fc(10)
}
"""


def given() -> tuple[cnndsl.ir.Graph, dict[str, np.ndarray]]:
    graph = cnndsl.parse(TEXT).graph
    return graph, initialise(graph.parameters(), 3)


def zeros(array: np.ndarray) -> int:
    return int((array == 0).sum())


def test_kernels_alone_are_pruned() -> None:
    graph, _ = given()
    found = prunable(graph)
    assert len(found) == 4
    assert all(kernel.name == f"{layer}.weight" for layer, kernel in found.items())
    assert all(len(kernel.shape) > 1 for kernel in found.values())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_the_smallest_of_each_layer_become_zero(share: float) -> None:
    graph, values = given()
    made = prune(graph, values, [("*", share)])
    for kernel in prunable(graph).values():
        before, after = values[kernel.name], made[kernel.name]
        count = round(share * before.size)
        assert zeros(after) == count
        kept = after != 0
        np.testing.assert_array_equal(after[kept], before[kept])
        assert (
            not count or not kept.any() or np.abs(before[~kept]).max() <= np.abs(before[kept]).min()
        )
    others = set(values) - {kernel.name for kernel in prunable(graph).values()}
    assert all(made[name] is values[name] for name in others)


def test_one_border_for_all() -> None:
    graph, values = given()
    made = prune(graph, values, [("*", 0.4)], "global")
    names = [kernel.name for kernel in prunable(graph).values()]
    everything = np.concatenate([np.abs(values[name]).ravel() for name in names])
    border = np.sort(everything)[round(0.4 * everything.size) - 1]
    for name in names:
        np.testing.assert_array_equal(made[name] == 0, np.abs(values[name]) <= border)


def test_equal_weights_are_counted_exactly() -> None:
    graph, values = given()
    values = {name: np.ones_like(array) for name, array in values.items()}
    for kernel in prunable(graph).values():
        assert zeros(prune(graph, values, [("*", 0.25)])[kernel.name]) == np.prod(kernel.shape) // 4


def test_the_first_pattern_counts() -> None:
    graph, values = given()
    made = prune(graph, values, [("out*", 0.0), ("*", 0.5)])
    assert zeros(made["out.weight"]) == 0
    assert zeros(made["stem.conv1.weight"]) == values["stem.conv1.weight"].size // 2


def test_a_pattern_without_layers() -> None:
    graph, values = given()
    with pytest.raises(cnndsl.CnnError, match="E0622"):
        prune(graph, values, [("steam*", 0.5)])


def test_bytes_of_the_three_forms() -> None:
    """Of 5,130 numbers of the last layer: all; half of them; those of three values."""
    graph, values = given()
    count = values["out.weight"].size + 10
    values["out.bias"] += 1
    forms = {
        (32, 4 * count): values["out.weight"],
        (32, -(-(32 * (count // 2 + 5) + count) // 8)): prune(graph, values, [("out", 0.5)])[
            "out.weight"
        ],
        (2, -(-(2 * count + 32 * 4) // 8)): np.resize([2.0, 3.0, 4.0], values["out.weight"].shape),
    }
    for (bits, size), weight in forms.items():
        row = stored(graph, {**values, "out.weight": weight})[-1]
        assert (row.layer, row.numbers, row.bits, row.bytes) == ("out", count, bits, size)
    rows = stored(graph, values)
    assert whole(rows).numbers == cnndsl.parse(TEXT).params
