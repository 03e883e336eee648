"""Ifs whose condition is known, and one node under several names."""

from __future__ import annotations

import numpy as np

from tests.importers.cases.case import case, f32, ints
from tests.importers.support import numbers

KERNEL = {"k": numbers(5, 4, 1, 1), "b": numbers(5, 1, 1, seed=1), "yes": np.asarray(True)}

BRANCHES = [
    case(
        "r = Relu (x) h = Shape (r) d = Gather (h, two) q = Equal (d, one)"
        " f = If (q) <then_branch = a () => (float[] p) { p = Squeeze (r, two) },"
        " else_branch = b () => (float[] p) { p = Identity (r) }> y = Sigmoid (f)",
        "relu sigmoid reshape",
        *(4, 1, 6),
        opset=13,
        two=ints(2),
        one=ints(1),
    ),
    case(
        "c = Conv (x, k) f = If (yes) <then_branch = a () => (float[] p) { p = Identity (c) },"
        " else_branch = e () => (float[] p) { p = Relu (c) }>"
        " z = Add (f, b) w = Relu (c) y = Concat <axis=1> (z, w)",
        "conv affine relu concat",
        **KERNEL,
    ),
    case(
        "y = If (yes) <then_branch = a () => (float[] p) { s = Sigmoid (x) p = If (yes)"
        " <then_branch = aa () => (float[] v) { v = Mul (s, x) },"
        " else_branch = ab () => (float[] v) { v = Relu (s) }> },"
        " else_branch = e () => (float[] p) { p = Relu (x) }>",
        "silu",
        yes=KERNEL["yes"],
    ),
    case(
        "q = Greater (x, zero) m = ReduceMax <keepdims=0> (x) o = Greater (m, zero)"
        " y = If (o) <then_branch = a () => (float[] p) { p = Relu (x) },"
        " else_branch = e () => (float[] p) { p = Sigmoid (x) }>",
        "!E0802 E0804",
        zero=f32(0).reshape(()),
    ),
    *(
        case(
            f"c = Conv (x, k) {move} z = Add (i, b) w = Relu (c) y = Concat <axis=1> (z, w)",
            "conv affine relu concat",
            **KERNEL,
            **more,
        )
        for move, more in (
            ("i = Identity (c)", {}),
            ("j = Unsqueeze (c, ax) i = Squeeze (j, ax)", {"ax": ints(4)}),
        )
    ),
]
