"""Statistics of groups of elements: numbers far from zero, many of them, and what follows them."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu import BACKEND
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.module import Array
from tests.cpu.support import assert_agrees, compiled
from tests.cpu.test_long_sums import LARGEST_ERROR, error, layer
from tests.onnx.support import start, then


def standardised(x: Array, axes: tuple[int, ...]) -> Array:
    exact = x.astype(np.float64)
    centred = exact - exact.mean(axes, keepdims=True)
    result: Array = centred / np.sqrt(np.square(centred).mean(axes, keepdims=True) + 1e-5)
    return result


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1e5])
@pytest.mark.parametrize(
    ("name", "shape", "axes", "attributes"),
    [
        ("instance_norm", (1, 1000, 1003), (2, 3), {}),
        ("instance_norm", (3, 7, 5), (2, 3), {}),
        ("group_norm", (12, 300, 290), (1, 2, 3), {"groups": 1}),
        ("layer_norm", (100_003,), (1,), {}),
        ("layer_norm", (769, 3, 5), (1,), {}),
    ],
)
def test_numbers_far_from_zero(
    name: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    attributes: dict[str, int],
    offset: float,
):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(1, *shape)) + offset).astype(np.float32)
    x[..., :1] = 0  # as padding has it
    graph = layer(name, *shape, affine=False, **attributes)
    assert error(graph, {}, x, standardised(x, axes)) < LARGEST_ERROR


def test_equal_numbers_have_no_variance():
    x = np.full((1, 5, 31, 33), 1e10 / 3, np.float32)
    for name, attributes in (("instance_norm", {}), ("group_norm", {"groups": 1})):
        found = compiled(layer(name, *x.shape[1:], affine=False, eps=1e-20, **attributes), {})(x)
        assert np.abs(found).max() < 1e-3


@pytest.mark.parametrize("batch", [1, 2])
def test_what_follows_is_computed_at_once(batch: int):
    """A product of a softmax with what it read may not be put over it before it is read again."""
    graph, x = start(19, 6, 5)
    x = then(graph, "first", "relu", x)
    for name, attributes in (
        ("softmax", {}),
        ("layer_norm", {}),
        ("instance_norm", {}),
        ("group_norm", {"groups": 19}),
    ):
        x = then(graph, f"{name}.norm", name, x, **attributes)
        x = then(graph, f"{name}.silu", "silu", x)
    y = then(graph, "last", "softmax", x)
    y = then(graph, "product", "mul", y, x)
    graph.outputs = {"out": then(graph, "end", "conv", y, filters=3, kernel=3).name}
    rng = np.random.default_rng(0)
    values = {
        name: rng.normal(size=parameter.shape) for name, parameter in graph.parameters().items()
    }
    fused, _ = optimise(graph, fusions=BACKEND.fusions)
    kinds = [[part.op.name for part in node.parts] for node in fused.nodes()]
    assert ["softmax", "mul"] in kinds
    assert ["instance_norm", "silu"] in kinds
    inputs = {graph.inputs[0]: rng.normal(size=(batch, 19, 6, 5))}
    assert_agrees(compiled(fused, values, batch=batch), graph, values, inputs)
