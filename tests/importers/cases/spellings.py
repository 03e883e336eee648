"""Normalisations in elementary operators, as exporters spell them, and what only looks like one."""

from __future__ import annotations

import numpy as np

from tests.importers.cases.case import case, f32, ints
from tests.importers.support import numbers

EPS, TWO, TINY = (f32(number).reshape(()) for number in (1e-5, 2, 1e-12))
ROW = {"eps": EPS, "s": numbers(7), "b": numbers(7, seed=1)}
COLUMN = {"eps": EPS, "s": numbers(4, 1, 1), "b": numbers(4, 1, 1, seed=1)}
MOMENTS = (
    "m = ReduceMean <axes=[{0}]> (x) d = Sub (x, m) p = Mul (d, d)"
    " v = ReduceMean <axes=[{0}]> (p) e = Add (v, eps) r = Sqrt (e)"
)
LAYER = f"{MOMENTS} q = Div (d, r) w = Mul (q, s) y = Add (w, b)"
KERAS = (
    f"{MOMENTS} i = Reciprocal (r) f = Mul (i, s) a = Mul (x, f) g = Mul (m, f)"
    " o = Sub (b, g) y = Add (a, o)"
)
TENSORFLOW = """
    t = Transpose <perm=[0,2,3,1]> (x) h = Shape (t) n = Gather (h, leading)
    c = ReduceProd <keepdims=1> (n) l = Concat <axis=0> (unit, c, width, unit)
    z = Reshape (t, l) ones = Expand (one, c) zeros = Expand (zero, c)
    m = ReduceMean <axes=[0,2,3]> (z) d = Sub (z, m)
    u = ReduceSumSquare <axes=[0,2,3], keepdims=0> (d) j = Squeeze (m, places)
    k = Shape (z) k2 = Gather (k, places) k3 = ReduceProd <keepdims=0> (k2) k4 = Cast <to=1> (k3)
    v = Div (u, k4) q = BatchNormalization <epsilon=0.001> (z, ones, zeros, j, v)
    a = Reshape (q, h) y = Transpose <perm=[0,3,1,2]> (a)"""

SOFTPLUS = "g = Greater (x, most) s = Softplus (x) y = Where (g, x, s)"

LOCAL_RESPONSE = (
    "p = Mul (x, x) v = Reshape (p, laid) a = Pad (v, pads)"
    " m = AveragePool <kernel_shape=[{0},1,1]> (a) q = Squeeze (m, one) z = Reshape (q, back)"
    " f = Mul (z, alpha) e = Add (f, two) r = Pow (e, beta) y = Div (x, r)"
)
"""As PyTorch computes it; behind the squares channels are the third of five axes."""
AROUND = {
    "laid": ints(0, 1, 4, 5, -1),
    "pads": ints(0, 0, 1, 0, 0, 0, 0, 1, 0, 0),
    "back": ints(0, 4, 5, 7),
    "one": ints(1),
    "alpha": f32(0.3).reshape(()),
    "beta": f32(0.75).reshape(()),
    "two": TWO,
}

SPELLINGS = [
    case(LOCAL_RESPONSE.format(3), "lrn", 4, 5, 7, opset=13, **AROUND),
    case(LOCAL_RESPONSE.format(3).replace("Mul (x, x)", "Pow (x, two)"), "lrn", 4, 5, 7, **AROUND),
    case(LOCAL_RESPONSE.format(2), "!E0803", 4, 5, 7, opset=13, **AROUND),
    case(
        LOCAL_RESPONSE.format(3),
        "!E0803",
        4,
        5,
        7,
        opset=13,
        **{**AROUND, "laid": ints(0, 1, 5, 4, -1)},
    ),
    case(
        LOCAL_RESPONSE.format(3),
        "!E0803",
        4,
        5,
        7,
        opset=13,
        **{**AROUND, "pads": ints(0, 0, 2, 0, 0, 0, 0, 0, 0, 0)},
    ),
    case(SOFTPLUS, "softplus", opset=16, most=f32(20).reshape(())),
    case(SOFTPLUS, "!E0802", opset=16, most=f32(2).reshape(())),
    case(LAYER.format(1), "layer_norm", opset=13, **COLUMN),
    case(KERAS.format(1), "layer_norm", opset=13, **COLUMN),
    case(LAYER.format(-1), "permute layer_norm permute", 5, 7, opset=13, **ROW),
    case(LAYER.format("2,3"), "instance_norm", opset=13, **COLUMN),
    case(LAYER.format("1,2,3"), "group_norm", opset=13, **COLUMN),
    case(
        "t = Transpose <perm=[0,2,3,1]> (x) m = ReduceMean <axes=[3]> (t) d = Sub (t, m)"
        " d2 = Sub (t, m) p = Pow (d2, two) v = ReduceMean <axes=[3]> (p) e = Add (eps, v)"
        " r = Pow (e, half) q = Mul (r, d) y = Transpose <perm=[0,3,1,2]> (q)",
        "layer_norm",
        opset=13,
        two=TWO,
        half=f32(-0.5),
        eps=EPS,
    ),
    case(
        "p = Pow (x, two) v = ReduceMean <axes=[1]> (p) e = Add (v, eps) r = Sqrt (e)"
        " q = Div (x, r) y = Mul (q, s)",
        "rms_norm",
        opset=13,
        two=TWO,
        eps=EPS,
        s=COLUMN["s"],
    ),
    case(
        "l = ReduceL2 <axes=[1]> (x) c = Clip (l, tiny) h = Shape (x) e = Expand (c, h)"
        " y = Div (x, e)",
        "l2_normalise",
        tiny=TINY,
    ),
    case(
        "p = Mul (x, x) u = ReduceSum (p, one) c = Max (u, tiny) r = Sqrt (c) i = Reciprocal (r)"
        " y = Mul (x, i)",
        "l2_normalise",
        7,
        tiny=TINY,
        one=ints(1),
    ),
    case(
        "g = Reshape (x, groups) n = InstanceNormalization <epsilon=0.001> (g, one, zero)"
        " h = Shape (x) c = Reshape (n, h) w = Mul (c, s) y = Add (w, b)",
        "group_norm",
        groups=ints(0, 2, -1),
        one=f32(1, 1),
        zero=f32(0, 0),
        s=COLUMN["s"],
        b=COLUMN["b"],
    ),
    case(
        "g = Reshape (x, groups) n = InstanceNormalization (g, s, b) h = Shape (x)"
        " y = Reshape (n, h)",
        "group_norm",
        groups=ints(0, 2, -1),
        s=f32(1, 2),
        b=f32(0, 1),
    ),
    case(
        TENSORFLOW,
        "layer_norm",
        opset=13,
        leading=ints(0, 1, 2),
        unit=ints(1),
        width=ints(4),
        places=ints(0, 2, 3),
        one=np.ones((), np.float32),
        zero=np.zeros((), np.float32),
    ),
    # Not the moments of what is divided, another number below, or a shape that grows
    case(
        "m = ReduceMean <axes=[1]> (x) d = Sub (x, m) p = Mul (x, x) v = ReduceMean <axes=[1]> (p)"
        " e = Add (v, eps) r = Sqrt (e) y = Div (d, r)",
        "channel_mean sub square channel_mean scale sqrt div",
        opset=13,
        eps=EPS,
    ),
    case(
        "l = ReduceL2 <axes=[1]> (x) c = Clip (l, tiny, two) y = Div (x, c)",
        "square channel_mean scale sqrt clamp div",
        tiny=f32(0.5).reshape(()),
        two=TWO,
    ),
    case(
        "l = ReduceL2 <axes=[1]> (x) c = Clip (l, tiny) e = Expand (c, wide) y = Div (x, e)",
        "!E0803",
        1,
        9,
        tiny=TINY,
        wide=ints(1, 3, 9),
    ),
    case(
        "t = Transpose <perm=[0,3,1,2]> (x) c = Conv (t, w) l = Transpose <perm=[0,2,3,1]> (c)"
        " h = Shape (l) hi = Cast <to=6> (h) n = Slice (hi, zero, one, zero)"
        " g = Concat <axis=0> (n, sizes) gi = Cast <to=7> (g) r = Reshape (l, gi)"
        " m = ReduceMean <axes=[1,2,4]> (r) d = Sub (r, m) q = Mul (d, d)"
        " v = ReduceMean <axes=[1,2,4]> (q) e = Add (v, eps) s = Sqrt (e) i = Reciprocal (s)"
        " f = Mul (i, gamma) a = Mul (r, f) b = Mul (m, f) k = Sub (beta, b) o = Add (a, k)"
        " p = Reshape (o, h) y = Transpose <perm=[0,3,1,2]> (p)",
        "conv group_norm",
        *(6, 5, 4),
        opset=13,
        w=numbers(8, 4, 1, 1),
        zero=ints(0),
        one=ints(1),
        sizes=np.asarray([6, 5, 2, 4], np.int32),
        eps=np.float32(1e-3),
        gamma=numbers(1, 1, 1, 2, 4),
        beta=numbers(1, 1, 1, 2, 4, seed=1),
    ),
]
