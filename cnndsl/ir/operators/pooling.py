"""Pooling: windows and whole maps reduced to one number for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Padding, Sizes, attribute
from cnndsl.ir.dims import Dim
from cnndsl.ir.operator import POINT, OperatorError, Reads, Sign, Window, Windows
from cnndsl.ir.operators.bases import Channelwise, Spatial, Windowed
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import extent, require_spatial


@dataclass(frozen=True)
class Pool(Windowed, Channelwise):
    """Base of the pooling operators with a sliding window.

    A stride that is not given is the kernel. `ceil` rounds the output size up; windows then may
    reach beyond the padded input, but never start behind the input.
    """

    sign = Sign.KEPT
    selects = True

    kernel: Sizes = attribute(kind.SIZES)
    stride: Sizes | None = attribute(kind.optional(kind.SIZES), None)
    pad: Padding = attribute(kind.PADDING, "valid")
    ceil: bool = attribute(kind.FLAG, False)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand sizes and padding to every axis; no window may lie in the padding alone."""
        bound = super().bind(inputs)
        for k, r, pad in zip(bound.kernel, bound.dilations, bound.pads, strict=True):
            if max(pad) >= extent(k, r):
                raise OperatorError(
                    "E0314",
                    f"padding of {max(pad)} makes {self.name} windows of {extent(k, r)} positions "
                    "that lie outside the input",
                    hint=f"pad at most {extent(k, r) - 1}",
                    attribute="pad",
                )
        return bound

    @property
    def least_sizes(self) -> Sizes:
        """For each axis the size from which on every window fits, and has a tap in the input."""
        axes = zip(self.kernel, self.strides, self.dilations, self.pads, strict=True)
        return tuple(
            max(
                extent(k, r) - before - after,
                *(start % r + 1 for start in range(-before, 1, s)),
            )
            for k, s, r, (before, after) in axes
        )

    def _check_taps(self, x: TensorType, sizes: Sequence[Dim]) -> None:
        """Raise OperatorError if a dilated window has no tap in the input, only beside it."""
        for axis, (n, outputs, r, (before, _)) in enumerate(
            zip(x.spatial, sizes, self.dilations, self.pads, strict=True)
        ):
            if not isinstance(n, int) or not isinstance(outputs, int):
                continue
            starts = range(-before, 0, self.strides[axis])[:outputs]
            if any(start % r >= n for start in starts):
                raise OperatorError(
                    "E0314",
                    f"a {self.name} window of dilation {r} steps over all {n} positions of axis "
                    f"{axis + 1} of {x}: it would see padding alone",
                    hint="use a smaller dilation, less padding, or a larger input",
                    attribute="dilation",
                    show_operands=True,
                )

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, floor or ceil((n + pads - k_eff)/stride) + 1 for each axis]."""
        (x,) = inputs
        sizes = self.sizes(x, ceil=self.ceil)
        self._check_taps(x, sizes)
        return TensorType((x.channels, *sizes))


@dataclass(frozen=True)
class MaxPool(Pool):
    """Largest element of each window; padding counts as minus infinity.

    Z[i,j,k] = max_{m,n} V[i, j*s1+m*r1, k*s2+n*r2]. The stride of a pool is its kernel unless
    given, as in PyTorch and Keras; in ONNX it is 1.
    """

    name: ClassVar[str] = "maxpool"
    foreign = ("PyTorch MaxPool2d", "Keras MaxPooling2D")
    example = "maxpool(3, stride=2, pad=1)"
    gradient = Reads.BOTH

    dilation: Sizes = attribute(kind.SIZES, (1,))


@dataclass(frozen=True)
class AvgPool(Pool):
    """Mean of each window: over the elements of the input only, or with its zero padding.

    Z[i,j,k] = sum_{m,n} V[i, j*s1+m, k*s2+n] / N. With include_pad=false N counts the elements
    of the window that lie in the input; with include_pad=true those in the padded input (a
    ceil-mode window is clipped to it). This is count_include_pad of PyTorch, where it is true
    unless said otherwise, and of ONNX, where it is not; Keras never counts the padding.
    """

    name: ClassVar[str] = "avgpool"
    foreign = ("PyTorch AvgPool2d", "Keras AveragePooling2D")
    example = "avgpool(2)"
    gradient = Reads.NOTHING

    include_pad: bool = attribute(kind.FLAG, False)


@dataclass(frozen=True)
class L2Pool(Pool):
    """Euclidean norm of each window: Z[i,j,k] = sqrt(sum_{m,n} V[i, j*s1+m, k*s2+n]^2)."""

    name: ClassVar[str] = "l2pool"
    foreign = ("PyTorch LPPool2d",)
    example = "l2pool(2)"
    sign = Sign.NONNEGATIVE
    gradient = Reads.BOTH
    selects = False


@dataclass(frozen=True)
class DistanceAvgPool(Pool):
    """Mean of each window weighted by the distance from the window's centre.

    Z[i,j,k] = sum_{m,n} w[m,n] V[i, j*s1+m, k*s2+n] / sum_{m,n} w[m,n] with the Gaussian weights
    w[m,n] = exp(-((m - (K1-1)/2)^2 + (n - (K2-1)/2)^2) / (2 sigma^2)), sigma in positions.
    Both sums run over the elements of the window that lie in the input.

    Source: Goodfellow et al., Deep Learning (2016), section 9.3.
    """

    name: ClassVar[str] = "distance_avgpool"
    example = "distance_avgpool(3)"
    gradient = Reads.NOTHING

    sigma: float = attribute(kind.POSITIVE, 1.0)


@dataclass(frozen=True)
class GlobalPool(Channelwise):
    """Base of the operators that reduce every channel's whole map to one number."""

    sign = Sign.KEPT
    selects = True

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The vector [channels]."""
        (x,) = inputs
        require_spatial(self.name, x)
        return TensorType((x.channels,))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """All positions."""
        return None


@dataclass(frozen=True)
class GlobalAvgPool(GlobalPool):
    """Mean of each channel, a vector. Source: Lin et al. (2014), Network in network, 3.2."""

    name: ClassVar[str] = "global_avgpool"
    foreign = ("Keras GlobalAveragePooling2D", "gap")
    gradient = Reads.NOTHING


@dataclass(frozen=True)
class GlobalMaxPool(GlobalPool):
    """Largest element of each channel, a vector."""

    name: ClassVar[str] = "global_maxpool"
    foreign = ("Keras GlobalMaxPooling2D",)
    gradient = Reads.BOTH


@dataclass(frozen=True)
class AdaptivePool(Spatial, Channelwise):
    """Base of the pooling operators that are given the output size o instead of a window.

    Window i of an axis of size n covers floor(i*n/o) up to, not including, ceil((i+1)*n/o).
    """

    sign = Sign.KEPT
    selects = True

    size: Sizes = attribute(kind.SIZES)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, *size]."""
        (x,) = inputs
        return TensorType((x.channels, *self.size))

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """From j*n // o up to ((j+1)*n - 1) // o; open sizes are taken for all positions."""
        (x,) = inputs
        if x.is_open:
            return None
        axes = zip(x.sizes[1:], self.size, strict=True)
        return tuple(POINT if n == o else Window(n, 0, n - 1, o) for n, o in axes)

    @staticmethod
    def window(index: int, n: int, outputs: int) -> tuple[int, int]:
        """Start and end (exclusive) of the window of one output position on one axis."""
        return index * n // outputs, -(-(index + 1) * n // outputs)


@dataclass(frozen=True)
class AdaptiveAvgPool(AdaptivePool):
    """Mean of the windows that divide the input into `size` outputs on each axis.

    Window i of an axis with n elements and o outputs covers floor(i*n/o) up to, not including,
    ceil((i+1)*n/o), as in PyTorch.
    """

    name: ClassVar[str] = "adaptive_avgpool"
    foreign = ("PyTorch AdaptiveAvgPool2d",)
    example = "adaptive_avgpool(4)"
    gradient = Reads.NOTHING


@dataclass(frozen=True)
class AdaptiveMaxPool(AdaptivePool):
    """Largest element of the windows that divide the input into `size` outputs on each axis.

    The windows are those of adaptive_avgpool.
    """

    name: ClassVar[str] = "adaptive_maxpool"
    foreign = ("PyTorch AdaptiveMaxPool2d",)
    example = "adaptive_maxpool(4)"
    gradient = Reads.BOTH
