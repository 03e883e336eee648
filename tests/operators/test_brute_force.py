"""The reference kernels and the shape rules against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.numpy import run_graph
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.types import Shape
from cnndsl.weights.evaluate import evaluate
from tests.operators.brute import BRUTE
from tests.operators.cases import CASES, Case

KNOWN_SIZES = (
    *("fc", "rbf", "flatten", "local_conv", "adaptive_avgpool", "adaptive_maxpool"),
    *("crop-size", "pixel_unshuffle", "permute-last", "permute-square", "reshape"),
    *("matmul", "matmul_transposed"),
)
OPEN_CASES = [
    case
    for case in CASES
    if all(len(shape) > 1 for shape in case.shapes)
    and len({shape[1:] for shape in case.shapes}) <= 1
    and not case.id.startswith(KNOWN_SIZES)
    and not (case.operator.name != "conv_transpose" and case.id.endswith(("_upper", "_lower")))
]


def expected(case: Case) -> np.ndarray:
    values = case.values()
    node = case.graph()["y"]
    params = {role: evaluate(e, values) for role, e in node.params.items()}
    inputs = case.inputs()
    samples = [
        BRUTE[type(case.operator)](case.operator, [x[i] for x in inputs.values()], params)
        for i in range(case.batch)
    ]
    return np.stack(samples)


def test_ids_are_unique() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_kernel_and_shape(case: Case) -> None:
    want = expected(case)
    graph = case.graph()
    assert graph["y"].type.shape == want.shape[1:]
    single, double = (
        run_graph(graph, case.values(), case.inputs(), dtype)["y"]
        for dtype in ("float32", "float64")
    )
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(double, want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(single, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", OPEN_CASES, ids=lambda case: case.id)
def test_open_sizes(case: Case) -> None:
    """A graph with open sizes gives the same results, and its types come true."""
    names = ("D", "H", "W")[-len(case.shapes[0]) + 1 :]
    whole = [max(n) for n in zip(*(shape[1:] for shape in case.shapes), strict=True)]
    symbols = [OpenDim.symbol(name) for name in names]

    def opened(shape: Shape) -> Shape:
        axes = zip(shape[1:], whole, symbols, strict=True)
        return (shape[0], *(symbol if n == most else n for n, most, symbol in axes))

    graph = case.graph(tuple(map(opened, case.shapes)))
    sizes = dict(zip(names, whole, strict=True))
    found = graph["y"].type.shape
    known = tuple(d.evaluate(sizes) if isinstance(d, OpenDim) else d for d in found)
    assert known == case.graph()["y"].type.shape
    result = run_graph(graph, case.values(), case.inputs())["y"]
    reference = run_graph(case.graph(), case.values(), case.inputs())["y"]
    np.testing.assert_array_equal(result, reference)
