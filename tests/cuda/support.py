"""How the tests of the cuda target compare."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cnndsl.backends.cuda.module import CudaModule
from cnndsl.backends.numpy import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array
from tests.cuda.emulator import BACKWARDS

TOLERANCE = {"f32": 1e-5, "tf32": 2e-3, "f16": 4e-3}
"""Largest error, relative to the largest output, by precision."""


def assert_agrees(
    module: CudaModule,
    graph: Graph,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
    tolerance: float,
) -> None:
    """Every output within the tolerance of the float64 reference, in any order of the threads."""
    expected = run_graph(graph, values, inputs)
    actual = module.run(inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BACKWARDS, "1")
        backwards = module.run(inputs)
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        assert actual[name].dtype == np.float32
        assert actual[name].shape == wanted.shape
        np.testing.assert_array_equal(actual[name], backwards[name], err_msg=name)
        scale = max(np.abs(wanted).max(), 1e-30)
        assert np.abs(actual[name] - wanted).max() <= tolerance * scale, name
