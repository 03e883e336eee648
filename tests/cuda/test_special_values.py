"""NaN and infinities on the cuda target, where the reference has them."""

from __future__ import annotations

import pytest

from tests.cpu.test_operators import NAMES, together
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE
from tests.marks import whole
from tests.operators.cases import CASES, Case, parameter_values
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
    "conv-groups",
    "depthwise-multiplier",
)


def test_as_the_reference_has_them(emulator: Emulator):
    assert_special(emulator, [case for case in CASES if case.id in CHOOSING])


@pytest.mark.parametrize("names", [whole(NAMES[part::8]) for part in range(8)])
def test_every_operator(emulator: Emulator, names: list[str]):
    assert_special(emulator, [case for case in CASES if case.operator.name in names])


def assert_special(emulator: Emulator, cases: list[Case]) -> None:
    graph, inputs = together(cases)
    values = parameter_values(graph, 0)
    module = emulator.module(graph, values, 2)
    assert_same(graph, values, inputs, module.run, TOLERANCE["f32"])
