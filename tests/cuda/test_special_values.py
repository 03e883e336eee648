"""NaN and infinities on the cuda target, where the reference has them."""

from __future__ import annotations

from tests.cpu.test_operators import together
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE
from tests.operators.cases import CASES, parameter_values
from tests.operators.special import assert_same

CHOOSING = (
    "maxpool",
    "maxpool-dilated",
    "global_maxpool",
    "adaptive_maxpool",
    "maxout",
    "argmax",
    "channel_max",
    "softmax",
    "softmax-vector",
    "layer_norm-channels",
    "instance_norm",
    "group_norm-across",
    "l2_normalise",
)


def test_as_the_reference_has_them(emulator: Emulator):
    graph, inputs = together([case for case in CASES if case.id in CHOOSING])
    values = parameter_values(graph, 0)
    module = emulator.module(graph, values, 2)
    assert_same(graph, values, inputs, module.run, TOLERANCE["f32"])
