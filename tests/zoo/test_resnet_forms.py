"""Residual units of all forms, straight from the papers' formulas; ResNeXt's three equal forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import cnndsl
from benchmarks.weights import lively_weights
from cnndsl.backends.numpy.run import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import StochasticDepth
from cnndsl.runtime.module import Array
from tests.zoo.support import assert_close


def run(graph: Graph, values: dict[str, Array], x: Array) -> Array:
    return run_graph(graph, values, {graph.inputs[0]: x[None]})["output"][0]


class Formulas:
    """The layers of a unit on [channels, height, width]; takes its weights in their order."""

    def __init__(self, values: dict[str, Array], width: int, stride: int):
        self.weights: Iterator[Array] = iter(values.values())
        self.width = width
        self.stride = stride

    def conv(self, x: Array, stride: int = 1) -> Array:
        """Same-padded cross-correlation without bias."""
        kernel = next(self.weights)
        margin = kernel.shape[-1] // 2
        padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], (1, 2))
        return np.einsum("cjkmn,fcmn->fjk", windows[:, ::stride, ::stride], kernel)

    def bn(self, x: Array) -> Array:
        gamma, beta, mean, variance = (next(self.weights)[:, None, None] for _ in range(4))
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def residual(self, x: Array) -> Array:
        """weight, BN, ReLU, weight, BN."""
        return self.bn(self.conv(relu(self.bn(self.conv(x, self.stride)))))

    def preactivated(self, x: Array) -> Array:
        """weight, BN, ReLU, weight."""
        return self.conv(relu(self.bn(self.conv(x, self.stride))))

    def shortcut(self, x: Array) -> Array:
        """Option A: subsampled, zero channels added."""
        x = x[:, :: self.stride, :: self.stride]
        return np.pad(x, ((0, self.width - len(x)), (0, 0), (0, 0)))

    def gate(self, x: Array) -> Array:
        """g(x) = sigmoid(W x + b)."""
        z = self.conv(x, self.stride)
        return 1 / (1 + np.exp(-z - next(self.weights)[:, None, None]))

    def exclusive_gate(self, x: Array) -> Array:
        g = self.gate(x)
        return relu(g * self.residual(x) + (1 - g) * self.shortcut(x))

    def early(self, x: Array) -> Array:
        x = relu(self.bn(x))
        return self.preactivated(x) + self.shortcut(x)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


Formula = Callable[[Formulas, Array], Array]

SHORTCUTS: dict[str, Formula] = {
    "basic(shortcut=option_a)": lambda f, x: relu(f.residual(x) + f.shortcut(x)),
    "constant_scale": lambda f, x: relu(f.residual(x) + 0.5 * f.shortcut(x)),
    "constant_scale(branch=0.5)": lambda f, x: relu(0.5 * f.residual(x) + 0.5 * f.shortcut(x)),
    "exclusive_gate": Formulas.exclusive_gate,
    "shortcut_gate": lambda f, x: relu(f.residual(x) + (1 - f.gate(x)) * f.shortcut(x)),
    "basic(shortcut=option_c)": lambda f, x: relu(f.residual(x) + f.bn(f.conv(x, f.stride))),
    "dropout_shortcut": lambda f, x: relu(f.residual(x) + f.shortcut(x)),
}
"""Table 1 of He et al. (2016), at inference."""

PLACEMENTS: dict[str, Formula] = {
    "bn_after_addition": lambda f, x: relu(f.bn(f.preactivated(x) + f.shortcut(x))),
    "relu_before_addition": lambda f, x: relu(f.residual(x)) + f.shortcut(x),
    "relu_preactivation": lambda f, x: f.residual(relu(x)) + f.shortcut(x),
    "preactivated_basic": lambda f, x: f.preactivated(relu(f.bn(x))) + f.shortcut(x),
    "preactivated_basic(early=true)": Formulas.early,
}
"""Figure 4b to e of He et al. (2016)."""

STOCHASTIC: dict[str, Formula] = {
    "basic(shortcut=option_a, after=stochastic_depth(0.7))": lambda f, x: relu(
        0.7 * f.residual(x) + f.shortcut(x)
    ),
}
"""Equation 5 of Huang et al. (2016): a unit at inference."""

UNITS = SHORTCUTS | PLACEMENTS | STOCHASTIC

IMPORTS = """
import basic, option_a, option_c from "resnet.cnn"
import preactivated_basic from "resnet_preactivation.cnn"
import constant_scale, exclusive_gate, shortcut_gate, dropout_shortcut from "resnet_variants.cnn"
import bn_after_addition, relu_before_addition, relu_preactivation from "resnet_variants.cnn"
"""


@pytest.mark.parametrize(("width", "stride"), [(4, 1), (6, 2)])
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_computes_its_formula(unit: str, width: int, stride: int):
    text = f"{IMPORTS}network n {{ input x [4, 8, 6]\n({unit})({width}, {stride}) }}"
    graph = cnndsl.parse(text).graph
    values = lively_weights(graph)
    x = np.random.default_rng(1).normal(size=(4, 8, 6))
    formulas = Formulas(values, width, stride)
    assert_close(run(graph, values, x), UNITS[unit](formulas, x), 1e-12)
    assert next(formulas.weights, None) is None


def survivals(name: str) -> list[float]:
    nodes = cnndsl.parse(name).graph.nodes()
    return [node.op.survival for node in nodes if isinstance(node.op, StochasticDepth)]


def test_survival_decays_linearly_to_one_half():
    found = survivals("resnet110_stochastic_depth")
    np.testing.assert_allclose(found, [1 - l / 54 * 0.5 for l in range(1, 55)])  # noqa: E741
    assert sum(found) == pytest.approx((3 * 54 - 1) / 4)


def test_survival_is_uniform():
    assert survivals("resnet110_stochastic_depth_uniform") == [0.5] * 54


def bn_slices(bn: list[Array], part: slice) -> list[Array]:
    return [array[part] for array in bn]


def test_the_three_forms_of_resnext_are_one_function():
    grouped = cnndsl.parse("resnext_forms").graph
    values = lively_weights(grouped)
    arrays = list(values.values())
    (enter, *bn1), (middle, *bn2), (leave, *bn3) = arrays[:5], arrays[5:10], arrays[10:]
    paths = [
        [enter[part], *bn_slices(bn1, part), middle[part], *bn_slices(bn2, part)]
        for part in (slice(4 * i, 4 * i + 4) for i in range(32))
    ]
    exits = np.split(leave, 32, axis=1)
    carried = {
        "resnext_summed": [a for p, e in zip(paths, exits, strict=True) for a in (*p, e)] + bn3,
        "resnext_joined_early": [*(a for path in paths for a in path), leave, *bn3],
    }
    x = np.random.default_rng(1).normal(size=(256, 14, 14))
    expected = run(grouped, values, x)
    for name, weights in carried.items():
        graph = cnndsl.parse(name).graph
        named = dict(zip(graph.parameters(), weights, strict=True))
        assert_close(run(graph, named, x), expected, 1e-12)
