"""Gradient graphs on the cpu target against the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.backends.numpy import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.weights.bind import bind
from tests.autodiff.test_graphs import arrays_for
from tests.cpu.support import WINOGRAD

TEXT = """
network small { input image [3, 8, 8]
    conv(9, 3, stride=2) -> bn -> relu -> maxpool(2) -> fc(4) }
"""


def test_a_training_step(tmp_path: Path) -> None:
    """Sums over the batch, correlations, a pool, what is computed again; saved and loaded."""
    net = cnndsl.gradients(TEXT, recompute="auto")
    values = bind(net.graph.parameters(), None, seed=1).values
    given = {name: x.astype(np.float32) for name, x in arrays_for(net.graph).items()}
    wanted = run_graph(net.graph, values, given)
    module = cnndsl.compile(net, target="cpu", weights=values, batch=3)
    module.save(tmp_path / "step.cnnmod")
    for found in (module(**given), cnndsl.load(tmp_path / "step.cnnmod")(**given)):
        assert isinstance(found, dict)
        largest = max(np.abs(array).max() for array in wanted.values())
        for name, array in wanted.items():
            assert found[name].shape == array.shape
            assert np.abs(found[name] - array).max() <= WINOGRAD * largest


POOLS = """
network pools { input x [9, 7, 6]
    let a = relu
    output padded = a -> maxpool(3, stride=2, pad=1)
    output apart = a -> maxpool(2, dilation=2)
    output whole = a -> global_maxpool }
"""


def test_gradients_of_max_pools() -> None:
    """Of maps where many elements are alike: a window's gradient goes to the first of them."""
    net = cnndsl.gradients(POOLS, None, by=["x"])
    given = arrays_for(net.graph)
    given["x"] = np.round(given["x"])
    given = {name: x.astype(np.float32) for name, x in given.items()}
    wanted = run_graph(net.graph, {}, given)["x.gradient"]
    found = cnndsl.compile(net, target="cpu", batch=len(given["x"]))(**given)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("target", "said"), [("cpu", "--batch 32"), ("torch", "has no|have them")])
def test_what_cannot_be_is_refused(target: str, said: str) -> None:
    with pytest.raises(CnnError, match=rf"(?s)E0630.*({said})"):
        cnndsl.compile(cnndsl.gradients(TEXT), target=target, seed=0)
