"""Functions of maps: pools with any padding, resizing, blocks of positions, products."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def hard_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    """A line between 0 and 1."""
    return (alpha * x + beta).clamp(0, 1)


def argmax(x: Tensor) -> Tensor:
    """Number of the largest channel at each position, as a number of the dtype of x."""
    return x.argmax(1, keepdim=True).to(x.dtype)


def matmul(a: Tensor, b: Tensor, transposed: bool = False) -> Tensor:
    """Product of two maps as matrices [channels, positions], of the first one transposed."""
    matrix, other = (x.reshape(*x.shape[:2], -1) for x in (a, b))
    product = (matrix.transpose(1, 2) if transposed else matrix) @ other
    return product.reshape(*product.shape[:2], *b.shape[2:])


def softmax_sum(*operands: Tensor) -> Tensor:
    """Values weighted by the softmax of as many scores, which follow them."""
    rank = max(x.dim() for x in operands)
    whole = [x.reshape(*x.shape, *(1,) * (rank - x.dim())) for x in operands]
    values, scores = whole[: len(whole) // 2], whole[len(whole) // 2 :]
    largest = reduce(torch.maximum, scores)
    powers = [torch.exp(score - largest) for score in scores]
    weighted = [value * power for value, power in zip(values, powers, strict=True)]
    return reduce(torch.add, weighted) / reduce(torch.add, powers)


def padded(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    ceil: bool,
    value: float = 0.0,
    dilation: Sequence[int] = (1, 1, 1),
) -> Tensor:
    """A map with its padding as far as windows reach; with `ceil` beyond it, filled alike.

    Windows do not start behind the map.
    """
    sides: list[int] = []
    axes = zip(x.shape[2:], kernel, stride, pads, dilation, strict=False)
    for n, size, step, (before, after), spread in axes:
        extent = spread * (size - 1) + 1
        if ceil:
            last = min(n + before, n + before + after - extent + step)
            after = (-(-last // step) - 1) * step + extent - n - before
        sides = [before, after, *sides]
    return F.pad(x, sides, value=value)


def max_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    ceil: bool = False,
    dilation: Sequence[int] = (1, 1, 1),
) -> Tensor:
    """Largest element of each window, with any padding."""
    function = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(kernel) - 1]
    x = padded(x, kernel, stride, pads, ceil, -math.inf, dilation)
    return function(x, kernel, stride, 0, dilation[: len(kernel)])


def window_sum(x: Tensor, weight: Tensor, stride: Sequence[int]) -> Tensor:
    """Sums of all windows of each channel, weighted [*kernel]."""
    function = (F.conv1d, F.conv2d, F.conv3d)[weight.dim() - 1]
    single = x.reshape(-1, 1, *x.shape[2:])
    return function(single, weight[None, None], None, stride).unflatten(0, x.shape[:2]).squeeze(2)


def mean_of_windows(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    ceil: bool,
    include_pad: bool = False,
) -> Tensor:
    """Weighted means of all windows, over what of them is in the map, or in its padding too."""
    kernel = weight.shape
    inside = torch.ones_like(x[:1, :1])
    if include_pad:
        whole = F.pad(inside, [side for pair in reversed(pads) for side in pair], value=1.0)
        shape = padded(inside, kernel, stride, pads, ceil).shape[2:]
        grown = [s - w for s, w in zip(shape, whole.shape[2:], strict=True)]
        counted = F.pad(whole, [side for g in reversed(grown) for side in (0, g)])
    else:
        counted = padded(inside, kernel, stride, pads, ceil)
    sums = window_sum(padded(x, kernel, stride, pads, ceil), weight, stride)
    return sums / window_sum(counted, weight, stride)


def avg_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    ceil: bool = False,
    include_pad: bool = False,
) -> Tensor:
    """Mean of each window, with any padding."""
    return mean_of_windows(x, x.new_ones(*kernel), stride, pads, ceil, include_pad)


def l2_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    ceil: bool = False,
) -> Tensor:
    """Euclidean norm of each window; its gradient is zero where the norm is."""
    squares = padded(x, kernel, stride, pads, ceil).square()
    sums = window_sum(squares, x.new_ones(*kernel), stride)
    return torch.where(sums > 0, sums, 1).sqrt() * (sums > 0)


def distance_avg_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    ceil: bool = False,
    sigma: float = 1.0,
) -> Tensor:
    """Mean of each window weighted by a Gaussian of the distance from the window's centre."""
    weight = x.new_ones(())
    for size in kernel:
        distance = torch.arange(size, dtype=x.dtype, device=x.device) - (size - 1) / 2
        weight = weight[..., None] * torch.exp(-distance.square() / (2 * sigma**2))
    return mean_of_windows(x, weight, stride, pads, ceil)


def pixel_shuffle(x: Tensor, factor: Sequence[int], order: str = "crd") -> Tensor:
    """Channels become blocks of positions."""
    rank, count = len(factor), x.shape[1] // math.prod(factor)
    split = (count, *factor) if order == "crd" else (*factor, count)
    first = 2 if order == "crd" else 1
    axes = [1 if order == "crd" else 1 + rank]
    for axis in range(rank):
        axes += [2 + rank + axis, first + axis]
    moved = x.unflatten(1, split).permute(0, *axes)
    for axis in range(rank):
        moved = moved.flatten(2 + axis, 3 + axis)
    return moved


def pixel_unshuffle(x: Tensor, factor: Sequence[int], order: str = "crd") -> Tensor:
    """Blocks of positions become channels."""
    rank = len(factor)
    for axis in reversed(range(rank)):
        x = x.unflatten(2 + axis, (-1, factor[axis]))
    inner = [3 + 2 * axis for axis in range(rank)]
    head = [1, *inner] if order == "crd" else [*inner, 1]
    return x.permute(0, *head, *(2 + 2 * axis for axis in range(rank))).flatten(1, 1 + rank)


def resize(
    x: Tensor,
    size: Sequence[int] | None = None,
    factor: Sequence[float] | None = None,
    mode: str = "nearest",
    coordinates: str = "half_pixel",
    rounding: str = "round_prefer_floor",
    cubic_coeff: float = -0.75,
) -> Tensor:
    """A map of another size, in the modes, coordinates and roundings of ONNX's Resize."""
    for axis in range(2, x.dim()):
        n = x.shape[axis]
        if factor is not None:
            scale = Fraction(str(factor[axis - 2]))
            results = math.floor(n * scale)
        elif size is not None:
            results = size[axis - 2]
            scale = Fraction(results, n)
        taps = [
            weights_at(place(coordinates, scale, n, results, j), mode, rounding, cubic_coeff)
            for j in range(results)
        ]
        along = (-1, *(1,) * (x.dim() - 1 - axis))
        total: Any = 0
        for tap in range(len(taps[0])):
            where = [min(max(row[tap][0], 0), n - 1) for row in taps]
            part = x.index_select(axis, torch.tensor(where, device=x.device))
            total = total + part * x.new_tensor([row[tap][1] for row in taps]).reshape(along)
        x = total
    return x


def place(coordinates: str, scale: Fraction, n: int, results: int, j: int) -> Fraction:
    """The position of result j in the operand."""
    half = Fraction(1, 2)
    if coordinates == "align_corners":
        return Fraction(j * (n - 1), max(results - 1, 1))
    if coordinates == "asymmetric":
        return j / scale
    if coordinates == "pytorch_half_pixel" and results == 1:
        return Fraction(0)
    return (j + half) / scale - half


def weights_at(p: Fraction, mode: str, rounding: str, cubic: float) -> list[tuple[int, float]]:
    """The positions that a value at p is made of, and how much of each; those of 0 do not count."""
    first, half = math.floor(p), Fraction(1, 2)
    if mode == "nearest":
        ways: dict[str, Callable[[], int]] = {
            "floor": lambda: math.floor(p),
            "ceil": lambda: math.ceil(p),
            "round_prefer_floor": lambda: math.ceil(p - half),
            "round_prefer_ceil": lambda: math.floor(p + half),
        }
        return [(ways[rounding](), 1.0)]
    if mode == "linear":
        taps = [(first, float(1 - (p - first))), (first + 1, float(p - first))]
    else:
        taps = [(first + k, keys(abs(float(p - first) - k), cubic)) for k in (-1, 0, 1, 2)]
    main = max(taps, key=lambda tap: tap[1])[0]
    return [(at if weight else main, weight) for at, weight in taps]


def keys(distance: float, a: float) -> float:
    """The cubic kernel at a distance of at most 2 (Keys 1981)."""
    d = distance
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
