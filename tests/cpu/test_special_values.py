"""NaN and infinities on the cpu target, where the reference has them."""

from __future__ import annotations

import pytest

from tests.cpu.support import EXACT, compiled
from tests.cpu.test_operators import NAMES, together
from tests.operators.cases import CASES, parameter_values
from tests.operators.special import assert_same


@pytest.mark.parametrize("name", NAMES)
def test_as_the_reference_has_them(name: str):
    graph, inputs = together([case for case in CASES if case.operator.name == name])
    values = parameter_values(graph, 0)
    module = compiled(graph, values, batch=2)
    assert_same(graph, values, inputs, module.run, EXACT)
