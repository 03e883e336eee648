"""Operators with windows and weights, and normalisation."""

from __future__ import annotations

import numpy as np

from tests.importers.cases.case import ONE, B, W, case, f32, ints
from tests.importers.support import numbers

PHASES = """
    p = Pad (x, n) t = Transpose <perm=[1,0,2,3]> (p) s = SpaceToDepth <blocksize=2> (t)
    u = Transpose <perm=[1,0,2,3]> (s) c = Conv (u, w) v = Transpose <perm=[1,0,2,3]> (c)
    d = DepthToSpace <blocksize=2> (v) e = Slice (d, st, en, ax) r = Elu (e)
    y = Transpose <perm=[1,0,2,3]> (r)"""
"""A dilated convolution as TensorFlow spells it: every second position is a sample of its own."""

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
    case(
        "p = Pad (x, n) q = Pad (p, n) y = Conv (q, w)", "conv", w=W, n=ints(0, 0, 1, 2, 0, 0, 3, 0)
    ),
    case(
        "t = Transpose <perm=[0,2,3,1]> (x) p = Pad (t, n) u = Transpose <perm=[0,3,1,2]> (p)"
        " y = Conv <strides=[2,2]> (u, w)",
        "conv",
        w=W,
        n=ints(0, 1, 2, 0, 0, 0, 3, 0),
    ),
    case(
        "p = Pad (x, n) c = Conv (p, w) y = Add (c, p)",
        "pad conv add",
        w=W[:4, :, :1, :1],
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
    *(
        case(
            PHASES,
            becomes,
            4,
            *sizes,
            opset=13,
            n=ints(0, 0, 2, 2, 0, 0, *after),
            w=numbers(5, 4, 3, 3),
            st=ints(0, 0),
            en=ints(*end),
            ax=ints(2, 3),
        )
        for becomes, sizes, after, end in (
            ("conv elu", (8, 8), (2, 2), (100, 100)),
            ("conv crop elu", (7, 9), (3, 3), (-1, -1)),
        )
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

ATTENTION = (
    "reshape slice slice slice reshape slice slice permute reshape slice slice matmul matmul concat"
    " reshape parameter add permute softmax permute reshape slice slice reshape slice slice"
    " matmul matmul concat reshape permute reshape"
)
"""Of two heads, each a product by itself."""
SAMPLES = (
    "reshape slice slice slice slice reshape permute reshape slice slice slice slice matmul matmul"
    " matmul matmul concat permute reshape softmax permute reshape slice slice slice slice slice"
    " slice slice slice matmul matmul matmul matmul concat reshape"
)
"""Of four heads that are samples for a while."""

PRODUCTS = [
    case("a = Relu (x) b = Tanh (x) t = Transpose <perm=[0,2,1]> (a) y = MatMul (t, b)",
         "relu tanh matmul_transposed", 4, 9),
    case("a = Relu (x) t = Transpose <perm=[0,2,1]> (x) y = MatMul (a, t)",
         "relu permute matmul", 4, 9),
    case("y = MatMul (x, w)", "permute conv permute", 4, 9, w=numbers(9, 5)),
    case("y = MatMul (w, x)", "conv", 4, 9, w=numbers(5, 4)),
    case("y = MatMul (w, x)", "permute conv permute", w=numbers(5, 9)),
    case("y = MatMul (x, w)", "permute conv permute", w=numbers(1, 10, 3)),
    case("y = MatMul (x, w)", "!E0803", w=numbers(4, 10, 3)),
    case("y = MatMul (w, x)", "!E0804", 7, w=numbers(5, 5)),
    case("r = Reshape (x, h) q, k, v = Split <axis=1> (r) s = Transpose <perm=[0,1,3,2]> (k)"
         " m = MatMul (q, s) a = Add (m, bias) p = Softmax <axis=-1> (a) z = MatMul (p, v)"
         " t = Transpose <perm=[0,2,1,3]> (z) y = Reshape (t, back)", ATTENTION, 5, 24,
         h=ints(0, 6, 5, 4), bias=numbers(1, 2, 5, 5), back=ints(0, 5, 8)),
    case("q = Reshape (x, h) t = Transpose <perm=[0,2,1]> (q) m = MatMul (q, t)"
         " p = Softmax <axis=-1> (m) z = MatMul (p, q) y = Reshape (z, back)", SAMPLES,
         h=ints(-1, 3, 30), back=ints(-1, 4, 9, 10)),
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
    case("r = Relu (x) p = Pad (r, n)"
         " y = MaxPool <kernel_shape=[2,2], strides=[5,5], ceil_mode=1> (p)",
         "relu pad maxpool", 4, 4, 4, n=ints(0, 0, 0, 0, 0, 0, 2, 2)),
    case("r = Relu (x) p = Pad (r, n) y = MaxPool <kernel_shape=[2,2]> (p)",
         "relu pad maxpool", n=ints(0, 0, 0, 0, 0, 0, 2, 2)),
    case("p = Pad (x, n, lowest) y = MaxPool <kernel_shape=[3,3]> (p)",
         "maxpool", n=ints(0, 0, 1, 0, 0, 0, 1, 1), lowest=-np.inf * ONE),
    case("p = Pad (x, n) y = AveragePool <kernel_shape=[3,3], pads=[1,1,0,1]> (p)",
         "pad avgpool", n=ints(0, 0, 1, 0, 0, 0, 1, 1)),
    case("t = Transpose <perm=[0,2,3,1]> (x) p = Pad (t, n) y = Relu (p)",
         "pad_channels pad relu permute", n=ints(0, 1, 2, 0, 0, 0, 3, 2)),
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
         "global_avgpool mul"),
    case("h = Shape (x) r = Relu (x) y = Expand (r, h)", "relu"),
    case("m = ReduceMax <axes=[2]> (x) h = Shape (x) y = Expand (m, h)",
         "adaptive_maxpool upsample"),
    case("m = ReduceMean <axes=[1]> (x) h = Shape (x) y = Expand (m, h)",
         "channel_mean parameter add"),
    case("y = Expand (x, s)", "!E0804", s=ints(5, 4, 9, 10)),
    case("c = ReduceMean <axes=[1]> (x) g = GlobalAveragePool (x) y = Mul (g, c)",
         "channel_mean global_avgpool reshape upsample mul"),
    case("c = Clip (n, , o) d = Clip (n, z) e = Add (c, d) y = Pad (x, e)", "pad",
         n=ints(0, 0, 1, 3, 0, 0, 0, 1), o=ints(2).reshape(()), z=ints(0).reshape(())),
    case("y = GlobalMaxPool (x)", "global_maxpool"),
    case("m = ReduceMin <axes=[2,3]> (x) y = Tanh (m)", "scale global_maxpool scale tanh"),
    case("y = ReduceMax <axes=[1,3], keepdims=0> (x)", "permute global_maxpool"),
    case("g = GlobalAveragePool (x) y = Tile (g, r)", "global_avgpool reshape upsample",
         r=ints(1, 1, 2, 3)),
    case("y = Tile (x, r)", "!E0803", r=ints(1, 1, 2, 1)),
    case("t = Exp (x) d = Div (c, t) y = Max (d, c)", "exp parameter div parameter max",
         c=numbers(4, 1, 1)),
    case("m = Mul (x, v) p = Pad (m, n) t = Transpose <perm=[0,3,1,2]> (p) y = Conv (t, w)",
         "scale conv", 6, 5, 4, w=numbers(3, 4, 3, 3), v=numbers(4),
         n=ints(0, 1, 1, 0, 0, 1, 2, 0)),
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
