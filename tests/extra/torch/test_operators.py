"""Every operator against the reference, in float64, at inference."""

import numpy as np
import pytest

from cnndsl.backends.numpy import run_graph
from cnndsl.backends.torch.module import compiled
from cnndsl.backends.torch.options import TorchOptions
from cnndsl.ir.operators import Input
from tests.operators.cases import CASES

COMPUTED = [case for case in CASES if not isinstance(case.operator, Input)]


@pytest.mark.parametrize("case", COMPUTED, ids=lambda case: case.id)
def test_an_operator_computes_what_the_reference_does(case):
    values, inputs = case.values(), case.inputs()
    module = compiled(case.graph(), values, TorchOptions(dtype="float64"))
    wanted = run_graph(case.graph(), values, inputs, "float64")["y"]
    found = module.run(inputs)["y"]
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
