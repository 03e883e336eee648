"""Parameters and multiply-adds against published or hand-counted numbers."""

from __future__ import annotations

import math

import pytest

from cnndsl.ir.attributes import build
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.types import Shape, TensorType

LENET_C3 = [
    [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [0, 4, 5], [0, 1, 5],
    [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [0, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 5],
    [0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5],
]  # fmt: skip
"""LeCun et al. (1998), table I: 1516 parameters, 151600 connections with the biases."""

COSTS: dict[str, tuple[str, dict[str, object], Shape, int, int, int]] = {
    "resnet stem": (
        "conv", {"filters": 64, "kernel": 7, "stride": 2, "bias": False}, (3, 224, 224),
        9_408, 0, 118_013_952,
    ),
    "alexnet conv2": (
        "conv", {"filters": 256, "kernel": 5, "groups": 2}, (96, 27, 27),
        307_456, 0, 223_948_800,
    ),
    "lenet c3": (
        "conv", {"filters": 16, "kernel": 5, "pad": "valid", "table": LENET_C3}, (6, 14, 14),
        1_516, 0, 150_000,
    ),
    "constant kernel": (
        "conv", {"filters": 1, "kernel": 1, "weight": [[[[2.0]]]], "bias": False}, (1, 4, 4),
        0, 0, 16,
    ),
    "mobilenet depthwise": (
        "depthwise", {"kernel": 3, "bias": False}, (32, 112, 112),
        288, 0, 3_612_672,
    ),
    "fcn-32s upsampling": (
        "conv_transpose", {"filters": 21, "kernel": 64, "stride": 32, "bias": False}, (21, 16, 16),
        1_806_336, 0, 462_422_016,
    ),
    "grouped transposed": (
        "conv_transpose", {"filters": 4, "kernel": 2, "stride": 2, "groups": 2}, (6, 5, 5),
        52, 0, 1_200,
    ),
    "local": ("local_conv", {"filters": 3, "kernel": 3}, (2, 6, 6), 864 + 48, 0, 864),
    "local groups": (
        "local_conv", {"filters": 4, "kernel": 3, "groups": 2}, (2, 6, 6), 576 + 64, 0, 576,
    ),
    "local table": (
        "local_conv", {"filters": 2, "kernel": 3, "table": [[0, 1], [1]]}, (2, 6, 6), 432 + 32, 0,
        432,
    ),
    "tiled": ("tiled_conv", {"filters": 3, "kernel": 3, "period": 2}, (2, 6, 6), 228, 0, 864),
    "vgg fc6": ("fc", {"units": 4096}, (512, 7, 7), 102_764_544, 0, 102_760_448),
    "lenet output": ("rbf", {"units": 10}, (84,), 0, 840, 0),
    "lenet subsampling": ("affine", {}, (6, 14, 14), 12, 0, 0),
    "bn": ("bn", {}, (64, 8, 8), 128, 128, 0),
    "prelu": ("prelu", {}, (64, 8, 8), 64, 0, 0),
    "pooling": ("maxpool", {"kernel": 2}, (64, 8, 8), 0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", COSTS)
def test_costs(case: str) -> None:
    name, attributes, shape, learned, fixed, macs = COSTS[case]
    types = [TensorType(shape)]
    operator = build(BY_NAME[name], attributes).bind(types)
    specs = operator.parameters(types).values()
    assert sum(math.prod(spec.shape) for spec in specs if spec.learned) == learned
    assert sum(math.prod(spec.shape) for spec in specs if not spec.learned) == fixed
    assert operator.macs(types, operator.infer(types)) == macs
