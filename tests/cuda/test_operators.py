"""The cuda target against the reference, for every operator."""

from __future__ import annotations

import pytest

from tests.cpu.test_operators import together
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE, assert_agrees
from tests.marks import whole
from tests.operators.cases import CASES, parameter_values

NAMES = sorted({case.operator.name for case in CASES})
WITH_PRODUCTS = ("conv", "depthwise", "fc")


@pytest.mark.parametrize("batch", [None, whole(2)])
def test_agrees_with_the_reference_in_float32(emulator: Emulator, batch: int | None):
    assert_all_agree(emulator, NAMES if batch else WITH_PRODUCTS, batch, "f32")


def test_agrees_with_the_reference_in_halves(emulator: Emulator):
    moved = ("concat", "slice", "maxpool", "global_avgpool", "softmax", "add", "flatten", "lrn")
    assert_all_agree(emulator, (*WITH_PRODUCTS, *moved), 2, "f16")


def test_agrees_with_the_reference_in_tf32(emulator: Emulator):
    assert_all_agree(emulator, WITH_PRODUCTS, None, "tf32")


def assert_all_agree(
    emulator: Emulator, names: tuple[str, ...] | list[str], batch: int | None, precision: str
) -> None:
    graph, inputs = together([case for case in CASES if case.operator.name in names])
    values = parameter_values(graph, 0)
    module = emulator.module(graph, values, batch, precision)
    assert_agrees(module, graph, values, inputs, TOLERANCE[precision])
