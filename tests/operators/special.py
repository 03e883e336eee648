"""NaN, infinities, negative zero and denormal numbers among the inputs of the operators' cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from cnndsl.backends.numpy import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array

VALUES = {
    "NaN": np.nan,
    "infinity": np.inf,
    "minus infinity": -np.inf,
    "minus zero": -0.0,
    "denormal": 1e-41,
}
Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def strange(inputs: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
    """float32 inputs in which a value stands at some places, and such that hold nothing else."""
    for label, value in VALUES.items():
        rng = np.random.default_rng(7)
        some = {name: array.astype(np.float32) for name, array in inputs.items()}
        for array in some.values():
            places = rng.choice(array.size, max(1, array.size // 40), replace=False)
            array.ravel()[places] = value
        yield f"some {label}", some
        yield f"all {label}", {name: np.full_like(array, value) for name, array in some.items()}


def assert_same(
    graph: Graph,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
    run: Run,
    tolerance: float,
) -> None:
    """NaN and infinities where the reference has them in float32, all else within the tolerance."""
    for label, given in strange(inputs):
        with np.errstate(all="ignore"):
            exact = run_graph(graph, values, given)
            expected = {name: array.astype(np.float32) for name, array in exact.items()}
        found = run(given)
        for name, wanted in expected.items():
            scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-30)
            np.testing.assert_allclose(
                found[name], wanted, rtol=0, atol=tolerance * scale, err_msg=f"{label}: {name}"
            )
