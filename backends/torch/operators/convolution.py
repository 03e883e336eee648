"""Convolutions: plain, by table, constant, transposed, local."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnndsl.backends.torch.code import (
    Code,
    Layer,
    Own,
    Slot,
    X,
    alike,
    call,
    code,
    flat_pads,
    is_even,
    module,
)
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Conv, ConvTranspose, LocalConv, TiledConv
from cnndsl.ir.part import Part
from cnndsl.ir.windows import Pads


def conv(part: Part[Conv]) -> Layer:
    """PyTorch's own, but for tables, turned kernels and constant ones.

    Where the sides differ, the operand is padded before.
    """
    return _conv(part, is_even(part.op.pads))


def conv_padded_before(part: Part[Conv]) -> Layer:
    """With no padding of its own, as uses of one layer with different paddings need it."""
    return _conv(part, False)


def _conv(part: Part[Conv], pads_itself: bool) -> Layer:
    op, (x,) = part.op, part.inputs
    options: dict[str, tuple[Any, Any]] = {"stride": (alike(op.stride), 1)}
    plain = op.table is None and not op.flip and op.weight is None
    pads_itself = plain and pads_itself
    if pads_itself:
        options["padding"] = (alike([before for before, _ in op.pads]), 0)
    options["dilation"] = (alike(op.dilation), 1)
    if op.table is None:
        options["groups"] = (op.groups, 1)
    options["bias"] = (op.bias, True)
    channels, kernel = Slot("channels", x.channels), Slot("kernel", alike(op.kernel))
    filters = Slot("filters", op.filters)
    if plain:
        made = call(f"nn.Conv{x.rank}d", channels, filters, kernel, **options)
    elif op.weight is not None:
        values = Slot("weight", _least(np.flip(op.weight, _axes(x.rank)) if op.flip else op.weight))
        made = call("ConstantConv", channels, filters, values, **options)
    else:
        kernel = Slot("kernel", op.kernel)
        options["flip"] = (op.flip, False)
        if op.table is not None:
            made = call("TableConv", channels, Slot("table", op.table), kernel, **options)
        else:
            made = call("FlippedConv", channels, filters, kernel, **options)
    return module(made, starts=True, result=_padded(() if pads_itself else op.pads))


def _axes(rank: int) -> tuple[int, ...]:
    return tuple(range(2, 2 + rank))


def _least(weight: Any) -> Any:
    """Constant kernels [filters, channels, *kernel], or the one that all are."""
    kernels = np.array(weight)
    single = kernels[:1, :1]
    return _nested((single if (kernels == single).all() else kernels).tolist())


def _nested(values: Any) -> Any:
    return tuple(map(_nested, values)) if isinstance(values, list) else values


def _padded(pads: Pads) -> Code:
    """The module called with the operand, padded if there is a padding."""
    if not any(map(any, pads)):
        return (Own(), "(", X, ")")
    return (Own(), *code("(F.pad({x}, {pads}))", pads=flat_pads(pads)))


def conv_transpose(part: Part[ConvTranspose]) -> Layer:
    """PyTorch's own; where the sides differ, what is too much is cut off afterwards."""
    op, (x,) = part.op, part.inputs
    even = is_even(op.pads) and op.weight is None
    extra, cut = list(op.output_pad), [(0, 0)] * x.rank
    if not even:
        axes = list(zip(op.pads, op.output_pad, strict=True))
        extra = [max(more - after, 0) for (_, after), more in axes]
        cut = [(-before, -max(after - more, 0)) for (before, after), more in axes]
    options: dict[str, tuple[Any, Any]] = {"stride": (alike(op.stride), 1)}
    if even:
        options["padding"] = (alike([before for before, _ in op.pads]), 0)
    options["output_padding"] = (alike(extra), 0)
    options["groups"] = (op.groups, 1)
    options["bias"] = (op.bias, True)
    options["dilation"] = (alike(op.dilation), 1)
    channels, filters = Slot("channels", x.channels), Slot("filters", op.filters)
    if op.weight is None:
        kernel = Slot("kernel", alike(op.kernel))
        made = call(f"nn.ConvTranspose{x.rank}d", channels, filters, kernel, **options)
    else:
        values = Slot("weight", _least(op.weight))
        made = call("ConstantConvTranspose", channels, filters, values, **options)
    result: Code = (Own(), "(", X, ")")
    if any(map(any, cut)):
        result = ("F.pad(", *result, ", ", Slot("cut", flat_pads(cut)), ")")
    return module(made, starts=True, result=result)


def local_conv(part: Part[LocalConv]) -> Layer:
    """A kernel for each position."""
    op, (x,) = part.op, part.inputs
    channels, kernel = Slot("channels", x.channels), Slot("kernel", op.kernel)
    positions = Slot("positions", part.output.sizes[1:])
    options: dict[str, tuple[Any, Any]] = {"stride": (alike(op.stride), 1)}
    if op.table is None:
        filters = Slot("filters", op.filters)
        options |= {"groups": (op.groups, 1), "bias": (op.bias, True)}
        made = call("LocalConv", channels, filters, kernel, positions, **options)
    else:
        options["bias"] = (op.bias, True)
        made = call(
            "LocalTableConv", channels, Slot("table", op.table), kernel, positions, **options
        )
    return module(made, starts=True, result=_padded(op.pads))


def tiled_conv(part: Part[TiledConv]) -> Layer:
    """Kernels that repeat."""
    op, (x,) = part.op, part.inputs
    made = call(
        "TiledConv",
        *(Slot("channels", x.channels), Slot("filters", op.filters), Slot("kernel", op.kernel)),
        Slot("period", op.period),
        stride=(alike(op.stride), 1),
        bias=(op.bias, True),
    )
    return module(made, starts=True, result=_padded(op.pads))


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    Conv: conv,
    ConvTranspose: conv_transpose,
    LocalConv: local_conv,
    TiledConv: tiled_conv,
}
