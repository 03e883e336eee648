"""Operators that move elements."""

from __future__ import annotations

import numpy as np

from tests.importers.cases.case import CHANNELS, ONE, W, case, f32, ints
from tests.importers.support import numbers

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
    case("y = Slice (x, s, e, a)", "crop", s=ints(1, 2), e=ints(8, 2**62), a=ints(2, 3)),
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
    case(
        "a, b = Split <axis=1> (x, s) y = Concat <axis=1> (b, a)",
        "slice slice concat",
        s=ints(1, 3),
    ),
    case("y = Slice (x, s, e, a)", "slice", s=ints(1), e=ints(3), a=ints(1)),
    case("y = Slice <starts=[-3], ends=[1000], axes=[1]> (x)", "slice", opset=9),
    case("y = Slice (x, s, e, a)", "identity", s=ints(0, 0), e=ints(2**63 - 1, 9), a=ints(1, 2)),
    case("y = Gather <axis=1> (x, i)", "slice", i=ints(1, 2)),
    case("y = Gather <axis=1> (x, i)", "!E0803", i=np.arange(0, 40, 2) % 4),
    case(
        "r = Reshape (x, s) t = Transpose <perm=[0,2,1,3,4]> (r) y = Reshape (t, u)",
        "shuffle",
        6,
        4,
        5,
        s=ints(0, 2, 3, 4, 5),
        u=ints(0, 6, 4, 5),
    ),
    case(
        "r = Reshape (x, s) t = Transpose <perm=[0,2,1,3]> (r) y = Reshape (t, u)",
        "shuffle",
        6,
        4,
        5,
        s=ints(-1, 3, 2, 20),
        u=ints(-1, 6, 4, 5),
    ),
    case(
        "n = Shape (x) b = Slice (n, z, o) s = Concat <axis=0> (b, m) y = Reshape (x, s)",
        "flatten",
        z=ints(0),
        o=ints(1),
        m=ints(-1),
    ),
    case("y = Flatten <axis=1> (x)", "flatten"),
    case("y = Flatten <axis=0> (x)", "!E0804"),
    case("y = Reshape (x, s)", "!E0804", s=ints(-1)),
    case("u = Unsqueeze (x, a) y = Squeeze (u, a)", "identity", a=ints(2)),
    case(
        "f = Flatten (x) y = Gather <axis=1> (f, i)",
        "identity",
        i=np.arange(4 * 9 * 10).reshape(4, 9, 10),
    ),
    case(
        "w = DequantizeLinear <axis=0> (q, s, z) y = Conv (x, w)",
        "conv",
        opset=13,
        q=(40 * numbers(6, 4, 1, 1)).astype(np.int8),
        s=abs(numbers(6)),
        z=np.arange(6, dtype=np.int8),
    ),
    case(
        "w = DequantizeLinear (q, s) y = Add (x, w)",
        "scale",
        q=np.arange(4, dtype=np.int32).reshape(4, 1, 1),
        s=f32(0.1).reshape(()),
    ),
    case("y = PartitionedCall (x)", "!E0802"),
    case(
        "c = CumSum (n, zero) e = Sin (c) g = GreaterOrEqual (e, c) w = Where (g, n, c)"
        " y = Mul (x, w)",
        "scale",
        n=numbers(4, 1, 1),
        zero=ints(0).reshape(()),
    ),
    *(
        case(
            f"y = Resize <mode='nearest', coordinate_transformation_mode='tf_half_pixel_for_nn',"
            f" nearest_mode='{rounding}'> (x, , s)",
            becomes,
            s=f32(1, 1, *factors),
        )
        for rounding, factors, becomes in (
            ("floor", (2, 3), "upsample"),
            ("floor", (1.5, 2), "!E0803"),
            ("round_prefer_floor", (2, 2), "!E0803"),
        )
    ),
]
