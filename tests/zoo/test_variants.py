"""The gallery: each network as an ONNX model against the float64 reference; what it shows."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl
from benchmarks.weights import lively_weights
from cnndsl.ir.operators import Conv
from cnndsl.runtime.module import Array
from tests.zoo.support import assert_close

VARIANTS = [name for name, path in cnndsl.zoo().items() if path.parent.name == "variants"]


@pytest.mark.parametrize("name", VARIANTS)
def test_onnx_agrees_with_the_reference(name: str):
    net = cnndsl.parse(name)
    weights = lively_weights(net.graph)
    rng = np.random.default_rng(1)
    inputs = {i: rng.normal(size=(2, *net.graph[i].type.shape)) for i in net.graph.inputs}
    onnx = cnndsl.compile(net, "onnx", weights=weights)
    reference = cnndsl.compile(net, "reference", weights=weights, dtype="float64")
    found = onnx.run({i: array.astype(np.float32) for i, array in inputs.items()})
    expected = reference.run(inputs)
    assert list(found) == list(net.graph.outputs)
    for output, array in expected.items():
        assert_close(found[output], array, 1e-5)
        assert np.ptp(array) > 1e-3, "the output does not depend on anything"


def mathematical_convolution(image: Array, kernel: Array) -> Array:
    """Z[j,k] = sum_{m,n} I[j-m, k-n] K[m,n] where all of I[j-m, k-n] exist (Goodfellow, 9.4)."""
    rows, columns = (n - k + 1 for n, k in zip(image.shape, kernel.shape, strict=True))
    result = np.zeros((rows, columns))
    for j, k in np.ndindex(rows, columns):
        for m, n in np.ndindex(*kernel.shape):
            result[j, k] += image[j + 2 - m, k + 2 - n] * kernel[m, n]
    return result


def test_sobel_is_the_mathematical_convolution():
    image = np.random.default_rng(0).normal(size=(64, 64))
    smooth, derive = np.array([1.0, 2.0, 1.0]), np.array([1.0, 0.0, -1.0])
    gx = mathematical_convolution(image, np.outer(smooth, derive))
    gy = mathematical_convolution(image, np.outer(derive, smooth))
    results = cnndsl.compile("sobel", "reference", dtype="float64")(image[None])
    assert_close(results["gradients"], np.stack([gx, gy]), 1e-12)
    assert_close(results["edges"], (abs(gx) + abs(gy))[None], 1e-12)


def test_sobel_gradients_point_where_it_gets_brighter():
    ramp = np.tile(np.arange(64.0), (64, 1))
    module = cnndsl.compile("sobel", "reference", dtype="float64")
    np.testing.assert_array_equal(np.unique(module(ramp[None])["gradients"][0]), [8.0])
    np.testing.assert_array_equal(np.unique(module(ramp.T[None])["gradients"][1]), [8.0])


def test_the_hybrid_schedule_sees_every_pixel_and_the_uniform_one_a_grid():
    nodes = cnndsl.parse("hybrid_dilation").graph.nodes()
    convs = [node.op for node in nodes if isinstance(node.op, Conv)]
    rates = [op.dilation[0] for op in convs if (op.kernel, op.stride) == ((3, 3), (1, 1))]
    assert seen_pixels(rates) == 1 + 2 * sum(rates) == 17
    assert seen_pixels([2, 2, 2]) == 7


def seen_pixels(rates: list[int]) -> int:
    """How many input positions of one axis an output of stacked kernels of 3 depends on."""
    seen = {0}
    for rate in rates:
        seen = {position + step * rate for position in seen for step in (-1, 0, 1)}
    return len(seen)


def test_the_recurrent_network_uses_the_same_weights_at_every_step():
    short, long = (cnndsl.parse("recurrent", settings={"steps": n}).graph for n in (2, 5))
    assert len(long) > len(short)
    assert long.parameters() == short.parameters()
    assert sorted(long.parameters()) == ["U.bias", "U.weight", "V.bias", "V.weight", "W.weight"]
