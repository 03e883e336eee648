"""Grouped convolutions whose groups share vectors: numbers of one do not reach the others.

What is not finite shows it, since it stays in a sum though its weight is zero.
"""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.attributes import build
from cnndsl.ir.operators import BY_NAME
from tests.cpu import bfloat16 as short
from tests.cpu.support import EXACT, assert_agrees, compiled
from tests.cpu.test_operators import together
from tests.marks import whole
from tests.operators.cases import Case, parameter_values
from tests.operators.special import assert_same, strange

GROUPS = 3
BOX = {"kernel": 3, "stride": 2}
FORMS: tuple[tuple[str, tuple[int, ...], dict[str, object]], ...] = (
    ("conv", (4, 5), BOX),
    ("conv", (5, 4), {"kernel": 2, "dilation": 2}),
    ("conv", (9,), BOX),
    ("conv", (3, 4, 3), {"kernel": 2, "stride": 2}),
    ("conv", (5, 3), {"kernel": 1}),
    ("conv", (1, 1), {"kernel": 1}),
    ("conv_transpose", (4, 3), BOX),
    ("conv_transpose", (6,), {"kernel": 2, "stride": 2}),
)


def cases(sizes: range) -> list[Case]:
    """Groups of 1 to 16 channels, and of as many outputs, more or fewer.

    `sizes` says which of these three: of one alone each width takes another one.
    """
    found = []
    for width in range(1, 17):
        for number in sizes:
            size = (width, width + 5, 1 + width % 5)[(width + number) % 3]
            name, spatial, attributes = FORMS[(3 * width + number) % len(FORMS)]
            operator = build(
                BY_NAME[name], {"filters": GROUPS * size, "groups": GROUPS, **attributes}
            )
            shape = (GROUPS * width, *spatial)
            found.append(Case(f"{name}_{width}_to_{size}_{number}", operator, (shape,)))
    return found


@pytest.mark.parametrize(
    ("extension", "sizes"),
    [
        ("avx2", range(1)),
        whole("avx2", range(1, 3)),
        whole("avx512", range(3)),
        whole("sse", range(3)),
    ],
)
def test_no_number_reaches_another_group(extension: str, sizes: range):
    graph, inputs = together(cases(sizes))
    values = parameter_values(graph, 1)
    module = compiled(graph, values, batch=2, extension=extension)
    assert_agrees(module, graph, values, inputs)
    assert_same(graph, values, inputs, module.run, EXACT)


def test_nor_in_bfloat16():
    """Of which words of two channels are multiplied."""
    items = [case for case in cases(range(1)) if case.operator.name == "conv"][4:8]
    graph, values, inputs = short.together(items, 1)
    module = compiled(graph, values, batch=2, extension="avx2")
    for _, given in strange(inputs):
        with np.errstate(all="ignore"):
            short.assert_near(module, graph, values, given)
