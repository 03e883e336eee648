"""Arithmetic of sliding windows: sizes for each axis, padding modes, output sizes.

Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016);
`same_upper` and `same_lower` as in the ONNX operator specification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from cnndsl.ir.attributes import Padding, Sizes
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.types import TensorType

LARGEST_HALO = 2**28
"""Numbers of a padded input from which on padding must not be nearly all of it."""
HALO_SHARE = 64
"""How many times as large as the input and the result a large padded input may be."""
Pads = tuple[tuple[int, int], ...]
Size = TypeVar("Size")


def require_spatial(operator: str, x: TensorType) -> None:
    """Raise OperatorError unless the operand has 1 to 3 spatial axes."""
    if not 1 <= x.rank <= 3:
        raise OperatorError(
            "E0306",
            f"{operator} needs an input with 1 to 3 spatial axes, this one is {x}",
            hint="a vector can only go into fc, activations and joins" if x.rank == 0 else None,
            show_operands=True,
        )


def per_axis(sizes: tuple[Size, ...], rank: int, attribute: str) -> tuple[Size, ...]:
    """One size for each spatial axis; a single size serves all axes."""
    if len(sizes) == rank:
        return sizes
    if len(sizes) == 1:
        return sizes * rank
    raise OperatorError(
        "E0307",
        f"{attribute} has {len(sizes)} numbers, but the input has "
        f"{rank} spatial ax{'is' if rank == 1 else 'es'}",
        attribute=attribute,
    )


def extent(kernel: int, dilation: int) -> int:
    """Positions that a dilated kernel spans: dilation*(kernel-1)+1."""
    return dilation * (kernel - 1) + 1


def resolve_pads(
    pad: Padding, spatial: Sequence[Dim], kernel: Sizes, stride: Sizes, dilation: Sizes
) -> Pads:
    """The padding of each axis as (before, after), in positions.

    same adds k_eff-1 in all, the smaller half before; full adds k_eff-1 on each side;
    same_upper and same_lower give ceil(n/stride) outputs, the odd position after or before.
    """
    if not isinstance(pad, str):
        if len(pad) not in (1, len(spatial)):
            raise OperatorError(
                "E0307",
                f"pad has {len(pad)} entries, but the input has {len(spatial)} spatial axes",
                attribute="pad",
            )
        return pad * len(spatial) if len(pad) == 1 else pad
    pads = []
    for size, k, s, r in zip(spatial, kernel, stride, dilation, strict=True):
        total = extent(k, r) - 1
        if pad == "valid":
            pads.append((0, 0))
        elif pad == "full":
            pads.append((total, total))
        elif pad == "same":
            pads.append((total // 2, total - total // 2))
        else:
            pads.append(_onnx_same(pad, size, s, total))
    return tuple(pads)


def _onnx_same(pad: str, size: Dim, stride: int, total: int) -> tuple[int, int]:
    if stride > 1:
        needed = (-(-size // stride) - 1) * stride + (total + 1) - size
        if isinstance(needed, OpenDim):
            raise OperatorError(
                "E0308",
                f"pad={pad} with a stride over 1 needs a known size, or a multiple of the stride "
                f"as in {stride}*H; this one is {size}",
                hint="pad=same does not depend on the size",
                attribute="pad",
            )
        total = max(needed, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if pad == "same_upper" else (large, small)


def output_sizes(
    operator: str,
    x: TensorType,
    kernel: Sizes,
    stride: Sizes,
    dilation: Sizes,
    pads: Pads,
    *,
    ceil: bool = False,
) -> tuple[Dim, ...]:
    """floor((n + pads - k_eff) / stride) + 1 for each axis.

    With `ceil` the quotient is rounded up, but a last window that would start in the padding
    after the input is left out (as PyTorch and Caffe do): windows start at all multiples of the
    stride below min(n + pads - k_eff + stride, n + before). This holds for paddings smaller than
    k_eff. Raises OperatorError if a window is
    larger than its padded input.
    """
    sizes: list[Dim] = []
    axes = zip(x.spatial, kernel, stride, dilation, pads, strict=True)
    for axis, (n, k, s, r, (before, after)) in enumerate(axes):
        room = n + (before + after - extent(k, r))
        if isinstance(room, int) and room < 0:
            raise OperatorError(
                "E0303",
                f"the {operator} window spans {extent(k, r)} positions, but the input has only "
                f"{n}{f' + {before + after} padding' if before + after else ''} on axis "
                f"{axis + 1} of {x}",
                hint="use a smaller kernel, more padding, or a larger input",
                attribute="kernel",
                show_operands=True,
            )
        last = n + before + min(s + after - extent(k, r), 0)
        sizes.append((last + s - 1) // s if ceil else room // s + 1)
    return tuple(sizes)


def require_room(
    operator: str, x: TensorType, sizes: Sequence[Dim], dilation: Sizes, pads: Pads
) -> None:
    """Raise OperatorError if padding alone makes an input huge.

    A dilation of 7000 makes 14008x14008 of 8x8. Open sizes count as 1.
    """
    padded = [n + before + after for n, (before, after) in zip(x.spatial, pads, strict=True)]
    numbers, given, made = map(_product, ((x.channels, *padded), x.spatial, sizes))
    positions = _product(padded)
    if numbers > LARGEST_HALO and positions > HALO_SHARE * max(given, made):
        raise OperatorError(
            "E0316",
            f"padding makes {'x'.join(map(str, padded))} positions of the {operator}'s input {x}",
            hint="use a smaller dilation or less padding",
            attribute="dilation" if max(dilation) > 1 else "pad",
            show_operands=True,
        )


def _product(sizes: Sequence[Dim]) -> int:
    """Of the known ones."""
    return math.prod(size for size in sizes if isinstance(size, int))
