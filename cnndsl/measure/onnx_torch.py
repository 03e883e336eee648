"""ONNX models as PyTorch modules: what `torch.compile` is given.

For the operators of most networks for images. Source: ONNX operators, opset 21; each function
takes the operands, then the attributes by name.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import torch
from onnx import ModelProto, NodeProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from cnndsl.runtime.module import Array

Ints = Sequence[int]

CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)
MAX_POOLS = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
AVERAGE_POOLS = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)

NEAREST = (b"nearest", b"asymmetric", b"floor")
"""Mode, coordinates and rounding of PyTorch's nearest."""


class OnnxModule(nn.Module):
    """Computes a model node by node: tensors in the order of its inputs, a list of outputs.

    Raises NotImplementedError for an operator that is not among OPERATORS.
    """

    def __init__(self, model: ModelProto):
        super().__init__()
        constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.inputs = [value.name for value in model.graph.input]
        self.outputs = [value.name for value in model.graph.output]
        self.weights = nn.ParameterList()
        self.steps = [self._step(node, constants) for node in model.graph.node]

    def _step(self, node: NodeProto, constants: dict[str, Array]) -> tuple[Any, list[Any], str]:
        """The function of a node, its operands, and the name of its result.

        Operands are names of values, numbers of weights, or what a function needs as plain numbers.
        """
        if node.op_type not in OPERATORS:
            raise NotImplementedError(f"no translation of {node.op_type} to PyTorch")
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        operands = [
            self._constant(node, constants[name]) if name in constants else name or None
            for name in node.input
        ]
        return partial(OPERATORS[node.op_type], **attributes), operands, node.output[0]

    def _constant(self, node: NodeProto, array: Array) -> Any:
        is_list = array.dtype == "int64" and node.op_type != "Gather"
        if is_list or node.op_type in ("Pad", "Resize"):
            return array.tolist()
        tensor = torch.from_numpy(array.copy())
        self.weights.append(nn.Parameter(tensor, requires_grad=False))
        return len(self.weights) - 1

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        """The outputs for one batch of each input."""
        values: dict[Any, Tensor] = dict(zip(self.inputs, inputs, strict=True))
        values |= enumerate(self.weights)
        for function, operands, result in self.steps:
            known = [values[o] if isinstance(o, str | int) else o for o in operands]
            values[result] = function(*known)
        return [values[name] for name in self.outputs]


def _rank(x: Tensor) -> int:
    return len(x.shape) - 2


def _padded(
    x: Tensor, pads: Ints, value: float = 0.0, window: Ints | None = None
) -> tuple[Tensor, list[int]]:
    """Where the sides differ, x with its padding; and the padding that is left on both sides.

    What pools pad themselves is at most half of the window.
    """
    before, after = list(pads[: _rank(x)]), list(pads[_rank(x) :])
    if before == after and (window is None or all(map(_fits, before, window))):
        return x, before
    sides = [side for pair in reversed([*zip(before, after, strict=True)]) for side in pair]
    return functional.pad(x, sides, value=value), [0] * _rank(x)


def _fits(pad: int, window: int) -> bool:
    return 2 * pad <= window


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Ints,
    pads: Ints,
    strides: Ints,
    dilations: Ints = (1, 1, 1),
    group: int = 1,
) -> Tensor:
    x, sides = _padded(x, pads)
    function = CONVOLUTIONS[_rank(x) - 1]
    return function(x, weight, bias, strides, sides, dilations[: _rank(x)], group)


def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Ints,
    pads: Ints,
    strides: Ints,
    dilations: Ints,
    group: int,
    output_padding: Ints,
) -> Tensor:
    """What the padding takes away may differ between the sides: it is cut off afterwards."""
    whole = TRANSPOSED[_rank(x) - 1](x, weight, bias, strides, 0, output_padding, group, dilations)
    cut = zip(pads[: _rank(x)], pads[_rank(x) :], whole.shape[2:], strict=True)
    return whole[(..., *(slice(before, size - after) for before, after, size in cut))]


def _max_pool(
    x: Tensor, *, kernel_shape: Ints, pads: Ints, strides: Ints, dilations: Ints
) -> Tensor:
    x, sides = _padded(x, pads, -torch.inf, kernel_shape)
    return MAX_POOLS[_rank(x) - 1](x, kernel_shape, strides, sides, dilations)


def _average_pool(
    x: Tensor, *, kernel_shape: Ints, pads: Ints, strides: Ints, count_include_pad: int = 0
) -> Tensor:
    """Where x is padded before, what a window counts is the mean over what it would count."""
    pool = AVERAGE_POOLS[_rank(x) - 1]
    padded, sides = _padded(x, pads, window=kernel_shape)
    mean = pool(padded, kernel_shape, strides, sides, False, bool(count_include_pad))
    if padded is x or count_include_pad:
        return mean
    counted, _ = _padded(torch.ones_like(x), pads, window=kernel_shape)
    return mean / pool(counted, kernel_shape, strides, sides)


def _lp_pool(x: Tensor, *, kernel_shape: Ints, pads: Ints, strides: Ints, p: int) -> Tensor:
    """Root of the sum of powers, of each window."""
    mean = _average_pool(
        x.abs() ** p, kernel_shape=kernel_shape, pads=pads, strides=strides, count_include_pad=1
    )
    return (mean * math.prod(kernel_shape)) ** (1 / p)


def _gather(x: Tensor, indices: Tensor, axis: int) -> Tensor:
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return x.index_select(axis, indices.flatten()).reshape(shape)


def _resize(
    x: Tensor,
    _: Any,
    scales: Sequence[float],
    *,
    mode: bytes,
    coordinate_transformation_mode: bytes,
    nearest_mode: bytes = b"",
    cubic_coeff_a: float = -0.75,
) -> Tensor:
    """By `interpolate`, in the modes that it has; whole scales to the nearest are alike in all."""
    whole = mode == b"nearest" and all(scale % 1 == 0 for scale in scales)
    if whole or (mode, coordinate_transformation_mode, nearest_mode) == NEAREST:
        return functional.interpolate(x, scale_factor=list(scales[2:]), mode="nearest")
    corners = {b"half_pixel": False, b"align_corners": True}.get(coordinate_transformation_mode)
    names = {b"linear": ("linear", "bilinear", "trilinear"), b"cubic": ("", "bicubic", "")}
    if mode not in names or corners is None or cubic_coeff_a != -0.75:
        raise NotImplementedError(f"no translation of Resize, {mode.decode()}, to PyTorch")
    name = names[mode][_rank(x) - 1]
    return functional.interpolate(
        x, scale_factor=list(scales[2:]), mode=name, align_corners=corners
    )


def _gemm(a: Tensor, b: Tensor, c: Tensor | None = None, *, transB: int = 0) -> Tensor:  # noqa: N803
    return functional.linear(a, b if transB else b.T, c)


def _slice(x: Tensor, starts: Ints, ends: Ints, axes: Ints, steps: Ints | None = None) -> Tensor:
    parts = [slice(None)] * x.dim()
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(axes), strict=True):
        parts[axis] = slice(start, min(end, x.shape[axis]), step)
    return x[tuple(parts)]


def _pad(x: Tensor, pads: Ints, value: float = 0.0) -> Tensor:
    """`pads` are of all axes, first those before."""
    pairs = zip(pads[: x.dim()], pads[x.dim() :], strict=True)
    return functional.pad(x, [side for pair in reversed([*pairs]) for side in pair], value=value)


def _batch_norm(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *, epsilon: float
) -> Tensor:
    return functional.batch_norm(x, mean, var, scale, bias, eps=epsilon)


def _unsqueeze(x: Tensor, axes: Ints) -> Tensor:
    return reduce(torch.unsqueeze, sorted(axes), x)


def _reshape(x: Tensor, shape: Ints) -> Tensor:
    """A 0 stands for the size that there is."""
    return x.reshape([size or x.shape[axis] for axis, size in enumerate(shape)])


def _over_map(x: Tensor, function: Callable[..., Tensor]) -> Tensor:
    return function(x, dim=tuple(range(2, x.dim())), keepdim=True)


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": operator.add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": torch.clamp,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": operator.truediv,
    "Flatten": lambda x, axis: x.flatten(axis),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": partial(_over_map, function=torch.mean),
    "GlobalMaxPool": partial(_over_map, function=torch.amax),
    "HardSigmoid": lambda x, alpha, beta: (alpha * x + beta).clamp(0, 1),
    "HardSwish": functional.hardswish,
    "Identity": lambda x: x,
    "LRN": lambda x, size, alpha, beta, bias: functional.local_response_norm(
        x, size, alpha, beta, bias
    ),
    "LeakyRelu": lambda x, alpha: functional.leaky_relu(x, alpha),
    "LpPool": _lp_pool,
    "MatMul": torch.matmul,
    "Max": lambda *parts: reduce(torch.maximum, parts),
    "MaxPool": _max_pool,
    "Mean": lambda *parts: reduce(operator.add, parts) / len(parts),
    "Mul": operator.mul,
    "PRelu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "Pad": _pad,
    "ReduceMax": lambda x, axes, keepdims=1: x.amax(axes, bool(keepdims)),
    "ReduceSum": lambda x, axes, keepdims=1: x.sum(axes, bool(keepdims)),
    "ReduceSumSquare": lambda x, axes, keepdims=1: (x * x).sum(axes, bool(keepdims)),
    "Relu": functional.relu,
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "Softmax": lambda x, axis: functional.softmax(x, axis),
    "Sub": operator.sub,
    "Sum": lambda *parts: reduce(operator.add, parts),
    "Tanh": torch.tanh,
    "Transpose": lambda x, perm: x.permute(perm),
    "Unsqueeze": _unsqueeze,
}
