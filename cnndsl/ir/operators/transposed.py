"""Transposed convolution: the gradient of a strided convolution, used to enlarge maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import Padding, Sizes, attribute
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.operator import OperatorError, ParameterSpec, Window, Windows
from cnndsl.ir.operators.bases import Linear, Spatial, Windowed
from cnndsl.ir.operators.convolution import check_groups, whole_weight
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import Pads, extent, resolve_pads


@dataclass(frozen=True)
class ConvTranspose(Windowed, Linear):
    """Transposed convolution: the gradient of a strided convolution with respect to its input.

    Z[i,j,k] = b[i] + sum of V[l,j',k'] * K[l,i,m,n] over all j'*s1 + m*r1 - before = j and
    k'*s2 + n*r2 - before = k. Padding crops the result, `output_pad` positions are added at its
    end (and hold what the kernel puts there): n inputs give
    (n-1)*stride + k_eff - before - after + output_pad outputs.

    pad=same, same_upper and same_lower give n*stride outputs: the gradient of the convolution
    with that padding on an input of n*stride; `output_pad` then follows from the mode.

    `weight` gives the kernel as constants, or one [*kernel] for all, instead of learning it.

    Source: Dumoulin and Visin (2016), section 4. Parameters: weight [channels, filters/groups,
    *kernel], bias [filters]. MACs: weights * input positions.
    """

    name: ClassVar[str] = "conv_transpose"
    foreign = ("PyTorch ConvTranspose2d", "Keras Conv2DTranspose", "deconv")
    example = "conv_transpose(4, 4, stride=2)"

    filters: int = attribute(kind.COUNT)
    kernel: Sizes = attribute(kind.SIZES)
    stride: Sizes = attribute(kind.SIZES, (1,))
    pad: Padding = attribute(kind.PADDING, "valid")
    output_pad: Sizes = attribute(kind.EXTENTS, (0,))
    dilation: Sizes = attribute(kind.SIZES, (1,))
    groups: int = attribute(kind.COUNT, 1)
    bias: bool = attribute(kind.FLAG, True)
    weight: Any = attribute(kind.optional(kind.VALUES), None)

    def bind(self, inputs: Sequence[TensorType]) -> Self:
        """Expand sizes and padding to every axis; check groups and output_pad."""
        (x,) = inputs
        sized = Spatial.bind(self, inputs)
        output_pad, stride, dilation = sized.output_pad, sized.stride, sized.dilation
        check_groups(self.groups, x.channels, self.filters)
        if any(o >= max(s, r) for o, s, r in zip(output_pad, stride, dilation, strict=True)):
            raise OperatorError(
                "E0312",
                f"output_pad {_list(output_pad)} must be smaller than the stride {_list(stride)} "
                f"or the dilation {_list(dilation)}",
                attribute="output_pad",
            )
        if isinstance(self.pad, str) and self.pad.startswith("same"):
            if any(output_pad):
                raise OperatorError(
                    "E0312",
                    f"pad={self.pad} fixes the output size, so output_pad cannot be given",
                    hint="give the padding as numbers",
                    attribute="output_pad",
                )
            pads, output_pad = _same(self.pad, sized.kernel, stride, dilation)
        else:
            pads = resolve_pads(self.pad, x.spatial, sized.kernel, stride, dilation)
        weight = self.weight
        if weight is not None:
            shape = (x.channels, self.filters // self.groups, *sized.kernel)
            weight = whole_weight(weight, shape, "[channels, filters/groups, *kernel]")
        return replace(sized, pad=pads, output_pad=output_pad, weight=weight)

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """Input i reaches the outputs i*stride - before + m*dilation of all kernel positions m."""
        axes = zip(self.kernel, self.stride, self.dilation, self.pads, strict=True)
        return tuple(Window(1, b - extent(k, r) + s, b, s) for k, s, r, (b, _) in axes)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """[filters, (n-1)*stride + k_eff - before - after + output_pad for each axis]."""
        (x,) = inputs
        sizes: list[Dim] = []
        axes = zip(
            x.spatial, self.kernel, self.stride, self.dilation, self.pads, self.output_pad,
            strict=True,
        )  # fmt: skip
        for n, k, s, r, (before, after), extra in axes:
            size = (n - 1) * s + (extent(k, r) - before - after + extra)
            if not isinstance(size, OpenDim) and size < 1:
                raise OperatorError(
                    "E0303",
                    f"the padding crops all {size + before + after} positions of the result",
                    hint="use less padding or a larger kernel",
                    attribute="pad",
                    show_operands=True,
                )
            sizes.append(size)
        return TensorType((self.filters, *sizes))

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The weight [channels, filters/groups, *kernel], unless it is constant, and the bias."""
        (x,) = inputs
        shape = (x.channels, self.filters // self.groups, *self.kernel)
        specs = {"weight": ParameterSpec(shape, "he")} if self.weight is None else {}
        if self.bias:
            specs["bias"] = ParameterSpec((self.filters,), "zeros")
        return specs

    def constants(self) -> dict[str, Any]:
        """The weight, if the network gives it."""
        return {} if self.weight is None else {"weight": self.weight}

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """channels * filters/groups * kernel * input positions."""
        (x,) = inputs
        return x.elements * (self.filters // self.groups) * math.prod(self.kernel)


def _same(mode: str, kernel: Sizes, stride: Sizes, dilation: Sizes) -> tuple[Pads, Sizes]:
    """Crop and output_pad that give n*stride outputs."""
    pads = []
    output_pad = []
    for k, s, r in zip(kernel, stride, dilation, strict=True):
        total = extent(k, r) - 1 if mode == "same" else max(extent(k, r) - s, 0)
        small, large = total // 2, total - total // 2
        pads.append((large, small) if mode == "same_lower" else (small, large))
        output_pad.append(s + total - extent(k, r))
    return tuple(pads), tuple(output_pad)


def _list(sizes: Sizes) -> str:
    return "x".join(map(str, sizes))
