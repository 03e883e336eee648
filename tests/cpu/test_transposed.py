"""Transposed convolutions: as ordinary ones where these can compute them."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cpu import BACKEND
from cnndsl.ir.graph import Graph, Node
from cnndsl.passes.pipeline import optimise
from tests.cpu.support import assert_agrees, compiled
from tests.marks import whole
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values

FAST = {
    "unet": {"kernel": 2, "stride": 2},
    "uneven": {"kernel": 3, "stride": 2, "pad": 1},
    "output_pad": {"kernel": 3, "stride": 2, "pad": 1, "output_pad": 1},
    "dcgan": {"kernel": 4, "stride": 2, "pad": 1},
    "axes": {"kernel": [5, 3], "stride": [3, 1], "pad": [[0, 2], [1, 0]]},
    "more_cropped_than_reached": {"kernel": 4, "stride": 2, "pad": 3},
    "dense": {"kernel": 3, "stride": 1, "dilation": 2, "pad": 1},
    "groups": {"kernel": 4, "stride": 2, "pad": 1, "groups": 2},
    "depthwise": {"kernel": 4, "stride": 2, "pad": 1, "groups": 20, "filters": 20},
}
PLAIN = {
    "gaps": {"kernel": 1, "stride": 2},
    "strided_and_dilated": {"kernel": 3, "stride": 2, "dilation": 2},
}


def after(graph: Graph, x: Node, attributes: dict[str, Any]) -> Node:
    given = {"filters": 36, **attributes}
    return then(graph, "up", "conv_transpose", x, **given)


def check(
    graph: Graph, output: Node, shape: tuple[int, ...], batch: int, extension: str
) -> set[str]:
    """Compile and compare; the families of the kernels."""
    graph.outputs = {"out": output.name}
    graph = optimise(graph, fusions=BACKEND.fusions)[0]
    values = parameter_values(graph, 1)
    module = compiled(graph, values, batch=batch, extension=extension)
    image = np.random.default_rng(2).normal(size=(batch, *shape))
    assert_agrees(module, graph, values, {"image": image})
    return {layer.family for layer in module.layers}


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        take(name, extension)
        for name, extension, take in zip(
            [*FAST, *PLAIN],
            cycle(["avx2", "avx512"]),
            cycle([pytest.param, whole, whole, pytest.param]),
            strict=False,
        )
    ],
)
def test_before_a_convolution_with_a_border(name: str, extension: str):
    graph, x = start(20, 5, 7)
    y = then(graph, "relu", "relu", after(graph, x, {**FAST, **PLAIN}[name]))
    y = then(graph, "conv", "conv", y, filters=8, kernel=3)
    families = check(graph, y, (20, 5, 7), 2, extension)
    assert ("plain" in families) == (name in PLAIN)
    assert ("phases" in families) == (name in FAST)


@pytest.mark.parametrize("shape", [(20, 9), (5, 6, 7), (20, 3, 4, 3)], ids=["1d", "2d", "3d"])
def test_in_any_number_of_dimensions(shape: tuple[int, ...]):
    graph, x = start(*shape)
    y = after(graph, x, {"kernel": 3, "stride": 2})
    assert "phases" in check(graph, y, shape, 1, "avx512")


def test_within_a_decoder():
    """Prologue and residual, then written into its part of a concatenation."""
    graph, x = start(20, 8, 8)
    small = then(graph, "down", "conv", x, filters=32, kernel=3, stride=2)
    other = then(graph, "side", "conv", x, filters=36, kernel=1)
    y = then(graph, "first", "relu", then(graph, "bn", "bn", small))
    y = then(graph, "sum", "add", after(graph, y, FAST["unet"]), other)
    y = then(graph, "both", "concat", then(graph, "relu", "relu", y), other, x)
    y = then(graph, "last", "conv", y, filters=16, kernel=3)
    assert "phases" in check(graph, y, (20, 8, 8), 3, "avx512")
