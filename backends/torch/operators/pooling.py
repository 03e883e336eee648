"""Pooling over windows, whole maps, and adaptive windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Layer, Slot, X, alike, call, code, is_even
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    DistanceAvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
)
from cnndsl.ir.operators.pooling import AdaptivePool, GlobalPool, Pool
from cnndsl.ir.part import Part


def _pytorch_pads(op: Pool) -> bool:
    """Whether PyTorch's pools take the padding: the same on both sides, half of the window."""
    axes = zip(op.kernel, op.pads, strict=True)
    return is_even(op.pads) and all(2 * pad <= k for k, (pad, _) in axes)


def maxpool(part: Part[MaxPool]) -> Layer:
    """PyTorch's own where it takes the padding."""
    op = part.op
    if not _pytorch_pads(op):
        return _general("max_pool", op, dilation=(op.dilation, (1,) * len(op.kernel)))
    return _own("F.max_pool", op, dilation=(alike(op.dilation), 1), ceil_mode=(op.ceil, False))


def avgpool(part: Part[AvgPool]) -> Layer:
    """PyTorch's own where it takes the padding."""
    op = part.op
    if not _pytorch_pads(op):
        return _general("avg_pool", op, include_pad=(op.include_pad, False))
    counted = op.include_pad or not any(map(any, op.pads))
    return _own("F.avg_pool", op, ceil_mode=(op.ceil, False), count_include_pad=(counted, True))


def _own(function: str, op: Pool, **options: tuple[Any, Any]) -> Layer:
    kernel, stride = alike(op.kernel), alike(op.strides)
    made = call(
        f"{function}{len(op.kernel)}d",
        *(X, Slot("kernel", kernel)),
        stride=(stride, kernel),
        padding=(alike([before for before, _ in op.pads]), 0),
        **options,
    )
    return Layer(made, starts=True)


def _general(function: str, op: Pool, **options: tuple[Any, Any]) -> Layer:
    made = call(
        function,
        *(X, Slot("kernel", op.kernel), Slot("stride", op.strides), Slot("pads", op.pads)),
        ceil=(op.ceil, False),
        **options,
    )
    return Layer(made, starts=True)


def global_pool(part: Part[GlobalPool]) -> Layer:
    """Over all positions."""
    axes = tuple(range(2, 2 + part.inputs[0].rank))
    function = "mean" if isinstance(part.op, GlobalAvgPool) else "amax"
    return Layer(code(f"{{x.}}.{function}({axes})"), starts=True)


def adaptive_pool(part: Part[AdaptivePool]) -> Layer:
    """Windows that divide the map."""
    op = part.op
    kind = "avg" if isinstance(op, AdaptiveAvgPool) else "max"
    function = f"F.adaptive_{kind}_pool{len(op.size)}d"
    return Layer(call(function, X, Slot("size", alike(op.size))), starts=True)


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    MaxPool: maxpool,
    AvgPool: avgpool,
    L2Pool: lambda part: _general("l2_pool", part.op),
    DistanceAvgPool: lambda part: _general(
        "distance_avg_pool", part.op, sigma=(part.op.sigma, 1.0)
    ),
    GlobalAvgPool: global_pool,
    GlobalMaxPool: global_pool,
    AdaptiveAvgPool: adaptive_pool,
    AdaptiveMaxPool: adaptive_pool,
}
