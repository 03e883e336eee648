"""Large weights are packed a part at a time, to the same numbers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from cnndsl.backends.native import packing
from cnndsl.backends.native.packing import Weight, aligned, pack
from cnndsl.diagnostics import CnnError
from cnndsl.ir.algebra import concat, multiply, pad, reshape, transpose
from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.types import DTYPES
from cnndsl.weights.evaluate import evaluate
from tests.cpu.support import compiled
from tests.onnx.support import start, then
from tests.operators.cases import parameter_values

PARAMETER = Parameter("w", (37, 24), "he")
MOVED = transpose(reshape(pad(PARAMETER, ((0, 11), (0, 0))), (3, 16, 6, 4)), (0, 2, 3, 1))
EXPRESSIONS = {
    "moved": MOVED,
    "rows of padding": pad(reshape(PARAMETER, (37, 4, 6)), ((0, 50), (0, 1), (1, 0))),
    "first axis moved": transpose(PARAMETER, (1, 0)),
    "rows joined": reshape(PARAMETER, (37 * 24,)),
    "computed": multiply(MOVED, MOVED),
    "several": concat([PARAMETER, PARAMETER], 0),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_parts_give_the_same_numbers(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "PIECE", 100)
    expression: Expression = EXPRESSIONS[name]
    values = {"w": np.random.default_rng(0).normal(size=(37, 24)).astype(np.float32)}
    packed = pack([("node", {"weight": Weight(expression, DTYPES[dtype])})]).evaluate(values)
    expected = evaluate(expression, values, dtype)
    found = packed.view(dtype)[: expected.size].reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)


def test_memory_beside_the_packed_weights():
    rows, columns = 4100, 2048
    weight = Parameter("w", (rows, columns), "he")
    filled = reshape(pad(weight, ((0, 4), (0, 0))), (rows // 8 + 1, 8, columns))
    expression = transpose(filled, (0, 2, 1))
    values = {"w": np.ones((rows, columns), np.float32)}
    tracemalloc.start()
    packed = pack([("node", {"weight": expression})]).evaluate(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert packed.sum(dtype=np.float64) == rows * columns
    assert peak < packed.nbytes


@pytest.mark.parametrize("size", [1 << 50, 1 << 62])
def test_no_memory_names_the_bytes(size: int):
    with pytest.raises(CnnError, match=f"{4 * size:,} bytes"):
        aligned(size)


def test_zeros_around_a_map_count_as_memory():
    """Of 17 channels there are two blocks, while the result has one number at a position."""
    graph, x = start(17, 8, 8)
    then(graph, "y", "conv", x, filters=1, kernel=1, pad=100_000)
    graph.outputs = {"out": "y"}
    with pytest.raises(CnnError, match=r"E0711.* bytes"):
        compiled(graph, parameter_values(graph, 0))
