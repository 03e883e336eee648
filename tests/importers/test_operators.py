"""Each operator of ONNX in its forms: what it becomes, and that this computes the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.importers.support import compared, model, numbers, operators, saved


@dataclass(frozen=True)
class Case:
    """Statements on `x`, of `shape` without the batch, that make `y`; and what they become."""

    text: str
    becomes: str
    shape: tuple[int, ...] = (4, 9, 10)
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 17

    @property
    def id(self) -> str:
        """The statements in short."""
        return f"{self.opset} {' '.join(self.text.split())}"[:70]


def case(text: str, becomes: str, *shape: int, opset: int = 17, **constants: Any) -> Case:
    return Case(text, becomes, shape or (4, 9, 10), constants, opset)


def ints(*values: int) -> Any:
    return np.asarray(values, np.int64)


def f32(*values: float) -> Any:
    return np.asarray(values, np.float32)


W = numbers(6, 4, 3, 3)
B = numbers(6, seed=1)
ONE = f32(1.0).reshape(())
CHANNELS = numbers(4, 1, 1)

CONVOLUTIONS = [
    case("y = Conv (x, w)", "conv", w=W),
    case("y = Conv <auto_pad='SAME_UPPER', strides=[2,2]> (x, w, b)", "conv", w=W, b=B),
    case("y = Conv <auto_pad='SAME_LOWER', strides=[2,3]> (x, w, b)", "conv", w=W, b=B),
    case("y = Conv <auto_pad='VALID', dilations=[2,1]> (x, w, b)", "conv", w=W, b=B),
    case("y = Conv <pads=[0,1,2,3], strides=[1,2], group=2> (x, w, b)", "conv", w=W[:, :2], b=B),
    case("y = Conv <pads=[2,1]> (x, w, b)", "conv", 4, 9, w=W[..., 0], b=B),
    case("y = Conv <kernel_shape=[3,3,1]> (x, w)", "conv", 4, 5, 6, 3, w=W[..., None]),
    case(
        "n, m, v = BatchNormalization <training_mode=1> (k, s, b, o, p) w = Reshape (n, h)"
        " y = Conv (x, w)",
        "conv",
        k=2 * W.reshape(1, 6, 36) + 1,
        s=B,
        b=numbers(6, seed=2),
        o=0 * B,
        p=0 * B + 1,
        h=ints(6, 4, 3, 3),
    ),
    case("c = Conv (x, w) y = Add (c, b)", "conv", w=W, b=B.reshape(1, 6, 1, 1)),
    case("c = Conv (x, w) y = Add (b, c)", "conv", w=W, b=B.reshape(6, 1, 1)),
    case(
        "p = Pad (x, n) y = Conv <pads=[1,0,0,0]> (p, w)",
        "conv",
        w=W,
        n=ints(0, 0, 1, 2, 0, 0, 3, 0),
    ),
    case("y = ConvTranspose <strides=[2,2]> (x, w, b)", "conv_transpose", w=W.swapaxes(0, 1), b=B),
    case(
        "y = ConvTranspose <strides=[2,3], pads=[1,0,2,1], output_padding=[1,2]> (x, w)",
        "conv_transpose",
        w=W.swapaxes(0, 1),
    ),
    case(
        "y = ConvTranspose <strides=[2,2], output_shape=[18,20]> (x, w)",
        "conv_transpose",
        w=W.swapaxes(0, 1),
    ),
    case(
        "y = ConvTranspose <strides=[2,2], auto_pad='SAME_UPPER'> (x, w)",
        "conv_transpose",
        w=W.swapaxes(0, 1),
    ),
    case(
        "y = ConvTranspose <strides=[2,2], auto_pad='SAME_LOWER'> (x, w)",
        "conv_transpose",
        w=W.swapaxes(0, 1),
    ),
    case(
        "y = ConvTranspose <group=2, dilations=[2,1]> (x, w)",
        "conv_transpose",
        w=numbers(4, 3, 3, 2),
    ),
    case(
        "g = GlobalAveragePool (x) y = Conv (g, w, b)",
        "global_avgpool fc",
        w=numbers(6, 4, 1, 1),
        b=B,
    ),
]

DENSE = [
    case("f = Flatten (x) y = Gemm (f, w)", "fc", w=numbers(360, 5)),
    case("f = Flatten (x) y = Gemm <transB=1> (f, w, b)", "fc", w=numbers(5, 360), b=f32(2)),
    case(
        "y = Gemm <alpha=0.5, beta=3.0, transB=1> (x, w, b)",
        "fc",
        7,
        w=numbers(5, 7),
        b=numbers(1, 5),
    ),
    case("y = MatMul (x, w)", "fc", 7, w=numbers(7, 5)),
    case("m = MatMul (x, w) y = Add (m, b)", "fc", 7, w=numbers(7, 5), b=numbers(5)),
    case(
        "t = Transpose <perm=[0,2,3,1]> (x) f = Flatten (t) y = Gemm (f, w)",
        "fc",
        w=numbers(360, 5),
    ),
    case(
        "t = Transpose <perm=[0,2,3,1]> (x) m = MatMul (t, w) a = Add (m, b) r = Relu (a)"
        " y = Transpose <perm=[0,3,1,2]> (r)",
        "conv relu",
        w=numbers(4, 6),
        b=B,
    ),
    case("r = Reshape (x, s) y = Gemm (r, w)", "fc", w=numbers(360, 5), s=ints(-1, 360)),
    case("r = Reshape (x, s) y = Gemm (r, w)", "fc", w=numbers(360, 5), s=ints(0, -1)),
]

PRODUCTS = [
    case("a = Relu (x) b = Tanh (x) t = Transpose <perm=[0,2,1]> (a) y = MatMul (t, b)",
         "relu tanh matmul_transposed", 4, 9),
    case("a = Relu (x) t = Transpose <perm=[0,2,1]> (x) y = MatMul (a, t)",
         "relu permute matmul", 4, 9),
    case("y = MatMul (x, w)", "permute conv permute", 4, 9, w=numbers(9, 5)),
]  # fmt: skip

POOLING = [
    case("y = MaxPool <kernel_shape=[3,2], strides=[2,2]> (x)", "maxpool"),
    case("y = MaxPool <kernel_shape=[3,3], pads=[1,1,1,1]> (x)", "maxpool"),
    case("y = MaxPool <kernel_shape=[3,3], dilations=[2,2], strides=[2,1]> (x)", "maxpool"),
    case("y = MaxPool <kernel_shape=[2,2], strides=[2,2], ceil_mode=1> (x)", "maxpool"),
    case("y = MaxPool <kernel_shape=[3,3], strides=[2,2], auto_pad='SAME_UPPER'> (x)", "maxpool"),
    case(
        "y = MaxPool <kernel_shape=[3,3], strides=[3,3], pads=[1,1,1,1], ceil_mode=1> (x)",
        "maxpool",
    ),
    case("r = Relu (x) p = Pad (r, n) y = MaxPool <kernel_shape=[3,3], strides=[2,2]> (p)",
         "relu maxpool", n=ints(0, 0, 0, 0, 0, 0, 1, 1)),
    case("y = AveragePool <kernel_shape=[3,3], pads=[1,1,0,1]> (x)", "avgpool"),
    case("y = AveragePool <kernel_shape=[3,3], pads=[1,1,0,1], count_include_pad=1> (x)",
         "avgpool"),
    case("y = AveragePool <kernel_shape=[2,3], strides=[2,2], ceil_mode=1> (x)", "avgpool"),
    case("y = AveragePool <kernel_shape=[3,3], strides=[2,2], auto_pad='SAME_LOWER'> (x)",
         "avgpool"),
    case("p = Pad (x, n) y = AveragePool <kernel_shape=[3,3], strides=[2,2]> (p)",
         "avgpool", n=ints(0, 0, 0, 1, 0, 0, 1, 1)),
    case("y = LpPool <kernel_shape=[2,2], strides=[2,2]> (x)", "l2pool"),
    case("l = LpPool <kernel_shape=[2,2]> (x) s = Sub (l, three) p = Pad (s, n)"
         " y = MaxPool <kernel_shape=[3,3], strides=[2,2]> (p)",
         "l2pool scale pad maxpool",
         n=ints(0, 0, 1, 1, 0, 0, 1, 1), three=3 * ONE),
    case("y = ReduceSum <keepdims=0> (x, a)", "global_avgpool scale", a=ints(2, 3)),
    case("y = ReduceSum (x, a)", "channel_mean scale", a=ints(1)),
    case("y = ReduceSum (x, a)", "adaptive_avgpool scale", a=ints(-1)),
    case("y = ReduceL2 <axes=[2,3]> (x)", "square global_avgpool scale sqrt"),
    case("y = ReduceSumSquare <axes=[1], keepdims=0> (x)", "square channel_mean scale reshape"),
    case("r = Relu (x) l = LpPool <kernel_shape=[1,1]> (r) d = Add (r, tiny) y = Div (l, d)",
         "relu l2pool scale div", tiny=1e-6 * ONE),
    case("r = Relu (x) l = LpPool <kernel_shape=[1,1]> (r) d = Clip (r, tiny) y = Div (l, d)",
         "relu l2pool clamp div", tiny=f32(1e-6).reshape(())),
    case("m = ReduceMean <axes=[1]> (x) t = Tanh (m) y = Add (m, tiny)",
         "channel_mean scale", tiny=1e-6 * ONE),
    case("g = GlobalAveragePool (x) h = Shape (x) e = Expand (g, h) y = Mul (e, x)",
         "global_avgpool reshape upsample mul"),
    case("h = Shape (x) r = Relu (x) y = Expand (r, h)", "relu"),
    case("m = ReduceMax <axes=[2]> (x) h = Shape (x) y = Expand (m, h)",
         "adaptive_maxpool upsample"),
    case("m = ReduceMean <axes=[1]> (x) h = Shape (x) y = Expand (m, h)", "!E0803"),
    case("c = Clip (n, , o) d = Clip (n, z) e = Add (c, d) y = Pad (x, e)", "pad",
         n=ints(0, 0, 1, 3, 0, 0, 0, 1), o=ints(2).reshape(()), z=ints(0).reshape(())),
    case("y = GlobalMaxPool (x)", "global_maxpool"),
    case("y = ReduceMean <axes=[2,3], keepdims=0> (x)", "global_avgpool"),
    case("y = ReduceMean <axes=[-1,-2]> (x)", "global_avgpool"),
    case("y = ReduceMean <axes=[3]> (x)", "adaptive_avgpool"),
    case("y = ReduceMax <axes=[2,3]> (x)", "global_maxpool"),
    case("y = ReduceMax <axes=[1]> (x)", "channel_max"),
    case("y = ReduceMean <axes=[1]> (x)", "channel_mean"),
    case("y = ReduceMax (x, a)", "adaptive_maxpool", opset=18, a=ints(2)),
    case("t = Transpose <perm=[0,2,3,1]> (x) y = ReduceMean <axes=[1,2], keepdims=0> (t)",
         "global_avgpool"),
]  # fmt: skip

NORMALISATION = [
    case(
        "y = BatchNormalization <epsilon=0.001> (x, s, b, m, v)",
        "bn",
        s=numbers(4),
        b=numbers(4, seed=1),
        m=numbers(4, seed=2),
        v=abs(numbers(4, seed=3)) + f32(0.1),
    ),
    case(
        "y = BatchNormalization (x, s, s, s, v)",
        "bn",
        7,
        opset=9,
        s=numbers(7),
        v=abs(numbers(7, seed=3)) + f32(0.1),
    ),
    case(
        "y = InstanceNormalization <epsilon=0.01> (x, s, b)",
        "instance_norm",
        s=numbers(4),
        b=numbers(4, seed=1),
    ),
    case(
        "y = GroupNormalization <num_groups=2> (x, s, b)",
        "group_norm",
        opset=21,
        s=numbers(4),
        b=numbers(4, seed=1),
    ),
    case("y = LayerNormalization (x, s, b)", "layer_norm", 7, s=numbers(7), b=numbers(7)),
    case(
        "t = Transpose <perm=[0,2,3,1]> (x) n = LayerNormalization (t, s)"
        " y = Transpose <perm=[0,3,1,2]> (n)",
        "layer_norm",
        s=numbers(4),
    ),
    case("y = LpNormalization <axis=1, p=2> (x)", "l2_normalise"),
    case("y = BatchNormalization <epsilon=0.0> (x, s, s, s, s)", "!E0803", s=abs(numbers(4))),
    case("y = LRN <size=4> (x)", "!E0803"),
    case("y = LRN <size=3, alpha=0.2, beta=0.6, bias=1.5> (x)", "lrn"),
]

FUNCTIONS = [
    case("y = Relu (x)", "relu"),
    case("y = Clip (x, a, b)", "relu6", a=f32(0).reshape(()), b=f32(6).reshape(())),
    case("y = Clip <min=0.0, max=6.0> (x)", "relu6", opset=7),
    case("y = Clip <min=-0.5> (x)", "clamp", opset=7),
    case("y = Clip (x, a)", "relu", a=f32(0).reshape(())),
    case("y = Clip (x, , b)", "clamp", b=ONE),
    case("y = Clip (x, a, b)", "clamp", a=f32(-1).reshape(()), b=f32(0.5).reshape(())),
    case("m = Max (x, a) y = Min (m, b)", "relu6", a=f32(0), b=f32(6)),
    case("y = LeakyRelu <alpha=0.2> (x)", "leaky_relu"),
    case("y = PRelu (x, s)", "prelu", s=numbers(4, 1, 1)),
    case("y = PRelu (x, s)", "leaky_relu", s=f32(0.3)),
    case("y = Elu <alpha=0.7> (x)", "elu"),
    case("y = Sigmoid (x)", "sigmoid"),
    case("y = Tanh (x)", "tanh"),
    case("y = Softplus (x)", "softplus"),
    case("y = HardSigmoid <alpha=0.16666667, beta=0.5> (x)", "hard_sigmoid"),
    case("y = HardSigmoid (x)", "scale clamp"),
    case("y = HardSwish (x)", "hard_swish"),
    case("a = Add (x, c) r = Clip (a, l, h) d = Div (r, h) y = Mul (x, d)", "hard_swish",
         c=f32(3), l=f32(0).reshape(()), h=f32(6).reshape(())),
    case("s = Sigmoid (x) y = Mul (x, s)", "silu"),
    case("s = Sigmoid (x) y = Mul (s, x)", "silu"),
    case("d = Div (x, r) e = Erf (d) a = Add (e, o) m = Mul (x, a) y = Mul (m, h)", "gelu",
         r=f32(1.4142135), o=ONE, h=f32(0.5)),
    case("h2 = Mul (x, h) d = Mul (x, r) e = Erf (d) a = Add (o, e) y = Mul (a, h2)", "gelu",
         r=f32(0.70710677), o=ONE, h=f32(0.5)),
    case("p = Pow (x, t) m = Mul (p, c) a = Add (x, m) n = Mul (a, d) u = Tanh (n)"
         " v = Add (u, o) w = Mul (x, h) y = Mul (w, v)", "gelu",
         t=f32(3), c=f32(0.044715), d=f32(0.7978846), o=ONE, h=f32(0.5)),
    case("y = Gelu <approximate='tanh'> (x)", "gelu", opset=20),
    case("y = Mul (x, c)", "scale", c=f32(-2.5)),
    case("m = Mul (x, c) y = Add (m, d)", "scale", c=f32(-2.5), d=f32(0.5)),
    case("y = Sub (d, x)", "scale", d=f32(0.5)),
    case("y = Neg (x)", "scale"),
    case("y = Pow (x, t)", "square", t=f32(2)),
    case("r = Relu (x) y = Sub (x, r)", "relu sub"),
    case("y = Softmax <axis=1> (x)", "softmax"),
    case("y = Softmax <axis=-1> (x)", "softmax", 7),
    case("y = Softmax <axis=-1> (x)", "permute softmax permute"),
    case("y = LogSoftmax <axis=1> (x)", "log_softmax"),
    case("y = Selu (x)", "selu", opset=9),
    case("y = Celu <alpha=0.7> (x)", "celu"),
    case("y = ThresholdedRelu <alpha=0.3> (x)", "thresholded_relu"),
    case("y = Softsign (x)", "softsign"),
    case("e = Exp (x) a = Add (e, o) l = Log (a) t = Tanh (l) y = Mul (x, t)", "mish", o=ONE),
    case("e = Exp (x) y = Add (e, o)", "exp scale", o=ONE),
    case("e = Exp (x) y = Div (o, e)", "exp reciprocal scale", o=f32(2.5)),
    case("a = Abs (x) y = Sqrt (a)", "abs sqrt"),
    case("s = Sigmoid (x) y = Pow (s, t)", "sigmoid pow", t=f32(2.5)),
    case("f = Flatten (x) y = Softmax (f)", "flatten softmax", opset=9),
    case("y = Mish (x)", "mish", opset=18),
    case("y = Erf (x)", "!E0802"),
]  # fmt: skip

JOINS = [
    case("a = Conv (x, w) b = Sigmoid (a) c = Relu (a) y = Add (b, c)", "conv sigmoid relu add",
         w=W),
    case("y = Add (x, x)", "add"),
    case("a = Sigmoid (x) b = Relu (x) y = Max (a, b, x)", "sigmoid relu max max"),
    case("g = GlobalAveragePool (x) y = Mul (x, g)", "global_avgpool mul"),
    case("g = GlobalAveragePool (x) y = Add (g, x)", "global_avgpool add"),
    case("g = GlobalAveragePool (x) y = Sub (x, g)", "global_avgpool sub"),
    case("g = GlobalAveragePool (x) y = Div (g, x)", "global_avgpool div"),
    case("m = ReduceMax <axes=[1]> (x) s = Sigmoid (m) y = Mul (x, s)",
         "channel_max sigmoid mul"),
    case("a = Conv (x, w) b = Conv (x, v) y = Min (a, b)", "conv conv min", w=W, v=W + 1),
    case("r = Conv (x, w) y = Mean (x, r)", "conv average", w=numbers(4, 4, 1, 1)),
    case("y = Mul (x, c)", "scale", c=numbers(4, 1, 1)),
    case("r = Relu (x) m = Mul (r, c) y = Add (m, d)", "relu affine",
         c=numbers(1, 4, 1, 1), d=numbers(4, 1, 1)),
    case("r = Relu (x) y = Sub (d, r)", "relu affine", d=numbers(4, 1, 1)),
    case("r = Relu (x) y = Div (r, d)", "relu affine", d=numbers(4, 1, 1)),
    case("a = Conv (x, w) y = Concat <axis=1> (x, a)", "conv concat", w=numbers(3, 4, 1, 1)),
    case("a = Conv (x, w) t = Transpose <perm=[0,2,3,1]> (a) u = Transpose <perm=[0,2,3,1]> (x)"
         " v = Concat <axis=-1> (t, u) y = Transpose <perm=[0,3,1,2]> (v)", "conv concat",
         w=numbers(3, 4, 1, 1)),
    case("f = Flatten (x) r = Relu (f) y = Concat <axis=1> (f, r)",
         "relu flatten flatten concat", 2, 3, 2),
    case("g = GlobalAveragePool (x) h = GlobalMaxPool (x) c = Concat <axis=1> (g, h)"
         " y = Flatten (c)", "global_avgpool global_maxpool concat"),
]  # fmt: skip

MOVES = [
    case("p = Pad (x, n) y = Add (p, v)", "pad scale", n=ints(0, 0, 1, 2, 0, 0, 3, 0), v=ONE),
    case("p = Pad (x, n) y = Sub (v, p)", "pad scale", n=ints(0, 0, 1, 2, 0, 0, 3, 0), v=ONE),
    case("p = Pad (x, n) y = Mul (p, c)", "pad affine", n=ints(0, 0, 1, 2, 0, 0, 3, 0), c=CHANNELS),
    case("p = Pad (x, n) y = Add (p, c)", "pad affine", n=ints(0, 0, 1, 2, 0, 0, 3, 0), c=CHANNELS),
    case("p = Pad (x, n) y = Mul (p, p)", "pad square", n=ints(0, 0, 1, 2, 0, 0, 3, 0)),
    case("p = Pad (x, n) c = Conv (p, w) s = Shape (p) y = Resize (c, , , s)",
        "conv resize", n=ints(0, 0, 1, 2, 0, 0, 3, 0), w=numbers(4, 4, 3, 3)),
    case("p = Pad (x, n) y = Mul (p, c)", "pad_channels affine", n=ints(0, 0, 0, 0, 0, 3, 0, 0),
        c=numbers(7, 1, 1)),
    case("p = Pad (x, n) y = Relu (p)", "pad relu", n=ints(0, 0, 1, 2, 0, 0, 3, 0)),
    case("y = Pad (x, n)", "pad_channels", n=ints(0, 0, 0, 0, 0, 3, 0, 0)),
    case("y = Pad <mode='reflect'> (x, n)", "pad", n=ints(0, 0, 1, 2, 0, 0, 3, 0)),
    case("y = Pad <mode='edge', pads=[0,0,1,2,0,0,3,0]> (x)", "pad", opset=9),
    case("y = Pad (x, n)", "crop", n=ints(0, 0, -1, 0, 0, 0, 0, -2)),
    case("p = Pad (x, n, v) y = Conv (p, w)", "pad conv", w=W, v=f32(2).reshape(()),
         n=ints(0, 0, 1, 2, 0, 0, 3, 0)),
    case("y = Slice (x, s, e, a)", "crop crop", s=ints(1, 2), e=ints(8, 2**62), a=ints(2, 3)),
    case("y = Slice (x, s, e, a, t)", "crop subsample", s=ints(1), e=ints(6), a=ints(2),
         t=ints(2)),
    case("a = Slice (x, s0, e, c, t) b = Slice (x, s1, e, c, t) y = Concat <axis=1> (a, b)",
         "subsample crop subsample concat", 4, 8, 10, s0=ints(0), s1=ints(1), e=ints(2**62),
         c=ints(2), t=ints(2)),
    case("y = Gather <axis=1> (x, i)", "slice slice concat", i=ints(2, 3, 0)),
    case("y = Gather <axis=1> (x, i)", "slice reshape", i=np.int64(-1)),
    case("a, b = Split <axis=2> (x, s) y = Concat <axis=2> (b, a)", "crop crop concat_height",
         s=ints(4, 5)),
    case("y = Concat <axis=-1> (x, x)", "concat_width"),
    case("y = Resize (x, , f)", "upsample", f=f32(1, 1, 2, 3)),
    case("y = Resize <mode='linear'> (x, , f)", "resize", f=f32(1, 1, 2, 1.7)),
    case("y = Resize <mode='linear', coordinate_transformation_mode='align_corners'> (x, , , s)",
         "resize", s=ints(2, 4, 17, 5)),
    case("y = Resize <mode='cubic'> (x, , , s)", "resize", s=ints(2, 4, 17, 20)),
    case("y = Resize <mode='nearest', nearest_mode='ceil'> (x, , , s)", "resize",
         s=ints(2, 4, 13, 5)),
    case("y = Upsample <mode='nearest'> (x, f)", "upsample", opset=9, f=f32(1, 1, 2, 2)),
    case("y = Upsample <mode='linear'> (x, f)", "resize", opset=9, f=f32(1, 1, 2, 2)),
    case("y = DepthToSpace <blocksize=2> (x)", "pixel_shuffle", 8, 3, 5),
    case("y = DepthToSpace <blocksize=2, mode='CRD'> (x)", "pixel_shuffle", 8, 3, 5),
    case("y = SpaceToDepth <blocksize=2> (x)", "pixel_unshuffle", 3, 4, 6),
    case("r = Reshape (x, s) t = Transpose <perm=[0,1,4,2,5,3]> (r) y = Reshape (t, u)",
         "pixel_shuffle", 8, 3, 5, s=ints(0, 2, 2, 2, 3, 5), u=ints(0, 2, 6, 10)),
    case("r = Reshape (x, s) t = Transpose <perm=[0,1,3,5,2,4]> (r) y = Reshape (t, u)",
         "pixel_unshuffle", 3, 4, 6, s=ints(0, 3, 2, 2, 3, 2), u=ints(0, 12, 2, 3)),
    case("y = Transpose <perm=[0,2,3,1]> (x)", "permute"),
    case("r = Relu (x) y = Transpose <perm=[0,2,3,1]> (r)", "relu permute"),
    case("r = Relu (x) y = Reshape (r, s)", "relu reshape", s=ints(0, 4, 90)),
    case("r = Relu (x) y = Reshape (r, s)", "relu reshape", s=ints(0, 8, 45)),
    case("r = Relu (x) t = Transpose <perm=[0,2,3,1]> (r) y = Reshape (t, s)",
         "relu permute reshape", s=ints(0, 180, 2)),
    case("f = Flatten (x) c = Concat <axis=1> (f, f) y = Reshape (c, s)",
         "flatten concat reshape", s=ints(0, 2, 360)),
    case("g = GlobalAveragePool (x) y = Resize <mode='linear'> (g, , , s)",
         "global_avgpool reshape resize", s=ints(2, 4, 5, 6)),
]  # fmt: skip

SHAPES = [
    case("y = Identity (x)", "identity"),
    case("y = Transpose <perm=[0,3,1,2]> (t) t = Transpose <perm=[0,2,3,1]> (x)", "identity"),
    case("a, b = Split <axis=1> (x) y = Concat <axis=1> (b, a)", "slice slice concat", opset=11),
    case("a, b = Split <axis=1> (x, s) y = Concat <axis=1> (b, a)", "slice slice concat",
         s=ints(1, 3)),
    case("y = Slice (x, s, e, a)", "slice", s=ints(1), e=ints(3), a=ints(1)),
    case("y = Slice <starts=[-3], ends=[1000], axes=[1]> (x)", "slice", opset=9),
    case("y = Slice (x, s, e, a)", "identity", s=ints(0, 0), e=ints(2**63 - 1, 9), a=ints(1, 2)),
    case("y = Gather <axis=1> (x, i)", "slice", i=ints(1, 2)),
    case("y = Gather <axis=1> (x, i)", "!E0803", i=np.arange(0, 40, 2) % 4),
    case("r = Reshape (x, s) t = Transpose <perm=[0,2,1,3,4]> (r) y = Reshape (t, u)", "shuffle",
         6, 4, 5, s=ints(0, 2, 3, 4, 5), u=ints(0, 6, 4, 5)),
    case("r = Reshape (x, s) t = Transpose <perm=[0,2,1,3]> (r) y = Reshape (t, u)", "shuffle",
         6, 4, 5, s=ints(-1, 3, 2, 20), u=ints(-1, 6, 4, 5)),
    case("n = Shape (x) b = Slice (n, z, o) s = Concat <axis=0> (b, m) y = Reshape (x, s)",
         "flatten", z=ints(0), o=ints(1), m=ints(-1)),
    case("y = Flatten <axis=1> (x)", "flatten"),
    case("y = Flatten <axis=0> (x)", "!E0804"),
    case("y = Reshape (x, s)", "!E0804", s=ints(-1)),
    case("u = Unsqueeze (x, a) y = Squeeze (u, a)", "identity", a=ints(2)),
]  # fmt: skip

CASES = [
    *(*CONVOLUTIONS, *DENSE, *PRODUCTS, *POOLING, *NORMALISATION, *FUNCTIONS),
    *(*JOINS, *MOVES, *SHAPES),
]


@pytest.mark.parametrize("given", CASES, ids=lambda given: given.id)
def test_operators(given: Case, tmp_path: Path) -> None:
    sizes = ",".join(map(str, given.shape))
    text = f"(float[N,{sizes}] x) => (float[] y) {{ {given.text} }}"
    path = saved(model(text, given.opset, **given.constants), tmp_path)
    if given.becomes.startswith("!"):
        from cnndsl.diagnostics import CnnError
        from cnndsl.importers.onnx.load import load

        with pytest.raises(CnnError) as caught:
            load(path)
        assert [found.code for found in caught.value.diagnostics] == [given.becomes[1:]]
        return
    assert operators(compared(path)) == given.becomes.split()
