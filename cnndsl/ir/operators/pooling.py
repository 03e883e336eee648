"""Pooling: windows and whole maps reduced to one number for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Padding, Sizes, attribute
from cnndsl.ir.dims import Dim
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import Pads, extent, output_sizes, per_axis, require_spatial, resolve_pads


@dataclass(frozen=True)
class Pool(Operator):
    """Base of the pooling operators with a sliding window.

    A stride that is not given is the kernel. `ceil` rounds the output size up; windows then may
    reach beyond the padded input, but never start behind the input.
    """

    kernel: Sizes = attribute(kind.SIZES)
    stride: Sizes | None = attribute(kind.optional(kind.SIZES), None)
    pad: Padding = attribute(kind.PADDING, "valid")
    ceil: bool = attribute(kind.FLAG, False)

    @property
    def strides(self) -> Sizes:
        """The stride of each axis, once bound."""
        assert self.stride is not None
        return self.stride

    @property
    def pads(self) -> Pads:
        """(before, after) for each axis, once bound."""
        assert not isinstance(self.pad, str)
        return self.pad

    @property
    def dilations(self) -> Sizes:
        """The dilation of each axis, once bound."""
        return (1,) * len(self.kernel)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand sizes and padding to every axis; no window may lie in the padding alone."""
        (x,) = inputs
        require_spatial(self.name, x)
        kernel = per_axis(self.kernel, x.rank, "kernel")
        stride = per_axis(self.stride or kernel, x.rank, "stride")
        sized = replace(self, kernel=kernel, stride=stride)._bind_dilation(x.rank)
        pads = resolve_pads(self.pad, x.spatial, kernel, stride, sized.dilations)
        for k, r, pad in zip(kernel, sized.dilations, pads, strict=True):
            if max(pad) >= extent(k, r):
                raise OperatorError(
                    "E0314",
                    f"padding of {max(pad)} makes {self.name} windows of {extent(k, r)} positions "
                    "that lie outside the input",
                    hint=f"pad at most {extent(k, r) - 1}",
                    attribute="pad",
                )
        return replace(sized, pad=pads)

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

    def _bind_dilation(self, rank: int) -> Self:
        return self

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, floor or ceil((n + pads - k_eff)/stride) + 1 for each axis]."""
        (x,) = inputs
        sizes = output_sizes(
            self.name, x, self.kernel, self.strides, self.dilations, self.pads, ceil=self.ceil
        )
        self._check_taps(x, sizes)
        return TensorType((x.channels, *sizes))


@dataclass(frozen=True)
class MaxPool(Pool):
    """Largest element of each window; padding counts as minus infinity.

    Z[i,j,k] = max_{m,n} V[i, j*s1+m*r1, k*s2+n*r2].
    """

    name: ClassVar[str] = "maxpool"

    dilation: Sizes = attribute(kind.SIZES, (1,))

    @property
    def dilations(self) -> Sizes:
        """The dilation of each axis, once bound."""
        return self.dilation

    def _bind_dilation(self, rank: int) -> Self:
        return replace(self, dilation=per_axis(self.dilation, rank, "dilation"))


@dataclass(frozen=True)
class AvgPool(Pool):
    """Mean of each window: over the elements of the input only, or with its zero padding.

    Z[i,j,k] = sum_{m,n} V[i, j*s1+m, k*s2+n] / N. With include_pad=false N counts the elements
    of the window that lie in the input; with include_pad=true those in the padded input (as
    PyTorch's count_include_pad; a ceil-mode window is clipped to the padded input).
    """

    name: ClassVar[str] = "avgpool"

    include_pad: bool = attribute(kind.FLAG, False)


@dataclass(frozen=True)
class L2Pool(Pool):
    """Euclidean norm of each window: Z[i,j,k] = sqrt(sum_{m,n} V[i, j*s1+m, k*s2+n]^2)."""

    name: ClassVar[str] = "l2pool"


@dataclass(frozen=True)
class DistanceAvgPool(Pool):
    """Mean of each window weighted by the distance from the window's centre.

    Z[i,j,k] = sum_{m,n} w[m,n] V[i, j*s1+m, k*s2+n] / sum_{m,n} w[m,n] with the Gaussian weights
    w[m,n] = exp(-((m - (K1-1)/2)^2 + (n - (K2-1)/2)^2) / (2 sigma^2)), sigma in positions.
    Both sums run over the elements of the window that lie in the input.

    Source: Goodfellow et al., Deep Learning (2016), section 9.3.
    """

    name: ClassVar[str] = "distance_avgpool"

    sigma: float = attribute(kind.POSITIVE, 1.0)


@dataclass(frozen=True)
class GlobalPool(Operator):
    """Base of the operators that reduce every channel's whole map to one number."""

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The vector [channels]."""
        (x,) = inputs
        require_spatial(self.name, x)
        return TensorType((x.channels,))


@dataclass(frozen=True)
class GlobalAvgPool(GlobalPool):
    """Mean of each channel, a vector. Source: Lin et al. (2014), Network in network, 3.2."""

    name: ClassVar[str] = "global_avgpool"


@dataclass(frozen=True)
class GlobalMaxPool(GlobalPool):
    """Largest element of each channel, a vector."""

    name: ClassVar[str] = "global_maxpool"


@dataclass(frozen=True)
class AdaptivePool(Operator):
    """Base of the pooling operators that are given the output size o instead of a window.

    Window i of an axis of size n covers floor(i*n/o) up to, not including, ceil((i+1)*n/o).
    """

    size: Sizes = attribute(kind.SIZES)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand the size to every axis."""
        (x,) = inputs
        require_spatial(self.name, x)
        return replace(self, size=per_axis(self.size, x.rank, "size"))

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[channels, *size]. Raises OperatorError if the input's size is open."""
        (x,) = inputs
        if x.is_open:
            raise OperatorError(
                "E0308",
                f"the windows of {self.name} need a known input size, not {x}",
                hint="a single output position is global_avgpool or global_maxpool, for any size",
                show_operands=True,
            )
        return TensorType((x.channels, *self.size))

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


@dataclass(frozen=True)
class AdaptiveMaxPool(AdaptivePool):
    """Largest element of the windows that divide the input into `size` outputs on each axis.

    The windows are those of adaptive_avgpool.
    """

    name: ClassVar[str] = "adaptive_maxpool"
