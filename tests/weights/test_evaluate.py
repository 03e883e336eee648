"""Weight expressions against plain numpy, and the shapes that their constructors state."""

import numpy as np
import pytest

from cnndsl.diagnostics import CnnError
from cnndsl.ir import algebra
from cnndsl.ir.expressions import Apply, Parameter
from cnndsl.weights.evaluate import FUNCTIONS, Evaluator, evaluate

RNG = np.random.default_rng(0)
VALUES = {
    "w": RNG.normal(size=(4, 3, 2, 5)),
    "s": RNG.uniform(0.5, 2, size=4),
    "m": RNG.normal(size=(3, 4)),
    "k": RNG.normal(size=(5, 2, 2)),
}
W, S, M, K = (Parameter(name, value.shape, "he") for name, value in VALUES.items())
w, s, m, k = VALUES.values()

dense = np.zeros((2, 4, 2, 2))
for connection, (row, channel) in enumerate([(0, 3), (0, 1), (1, 0), (1, 1), (1, 2)]):
    dense[row, channel] = k[connection]

CASES = {
    "add": (algebra.add(M, S), m + s),
    "subtract": (algebra.subtract(M, S), m - s),
    "multiply": (algebra.multiply(W, algebra.along(S, 0, 4)), w * s[:, None, None, None]),
    "divide": (algebra.divide(1.0, S), 1 / s),
    "sqrt": (algebra.sqrt(S), s**0.5),
    "maximum": (algebra.maximum(M, S), np.where(m > s, m, s)),
    "largest_size": (algebra.largest_size(W, (1, 3)), abs(w).max(3).max(1)),
    "rounded": (
        algebra.rounded(algebra.constant([0.5, 1.5, -2.5, 9.0]), 7),
        np.array([0.0, 2.0, -2.0, 7.0]),
    ),
    "float32": (algebra.float32(M), np.float64(np.float32(m))),
    "bfloat16": (
        algebra.bfloat16(algebra.constant([1 + 2**-8, 1 + 3 * 2**-8, -3.0])),
        np.array([1.0, 1 + 2**-6, -3.0]),
    ),
    "significant": (
        algebra.significant(algebra.constant([9.0, 10.0, 11.0, -0.3125, 0.0]), 3),
        np.array([8.0, 10.0, 12.0, -0.3125, 0.0]),
    ),
    "equaliser": (
        algebra.equaliser(algebra.constant([4.0, 0.0, 1e9]), algebra.constant([9.0, 1.0, 1.0])),
        np.array([2 / 3, 1.0, 64.0]),
    ),
    "broadcast": (algebra.broadcast(S, (2, 3, len(s))), np.ones((2, 3, 1)) * s),
    "reshape": (algebra.reshape(W, (12, 10)), w.reshape(12, 10)),
    "transpose": (algebra.transpose(W, (2, 0, 3, 1)), w.transpose(2, 0, 3, 1)),
    "flip": (algebra.flip(W, (3, 1)), w[:, ::-1, :, ::-1]),
    "slice_axis": (algebra.slice_axis(W, 3, 1, 4), w[..., 1:4]),
    "concat": (algebra.concat([W, W, W], 1), np.tile(w, (1, 3, 1, 1))),
    "pad": (algebra.pad(M, [(1, 0), (0, 2)]), np.pad(m, [(1, 0), (0, 2)])),
    "take": (algebra.take(M, 1, [3, 0, 0]), m[:, [3, 0, 0]]),
    "sum_axes": (algebra.sum_axes(W, (3, 0)), w.sum(3).sum(0)),
    "einsum": (algebra.einsum("oikl,o,cl->cik", W, S, algebra.constant(np.eye(5)[:2])),
               (w * s[:, None, None, None]).sum(0)[..., :2].transpose(2, 0, 1)),
    "embed_table": (algebra.embed_table(K, [[3, 1], [0, 1, 2]], 4), dense),
}  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function(function):
    expression, expected = CASES[function]
    assert isinstance(expression, Apply)
    assert expression.function == function
    assert expression.shape == expected.shape
    np.testing.assert_allclose(evaluate(expression, VALUES), expected, rtol=1e-12)


def test_nothing_is_added_for_neutral_operations():
    assert algebra.multiply(W, 1.0) is W
    assert algebra.multiply(1, W) is W
    assert algebra.divide(W, 1.0) is W
    assert algebra.add(0.0, W) is W
    assert algebra.subtract(W, 0.0) is W
    assert algebra.reshape(W, W.shape) is W
    assert algebra.transpose(W, (0, 1, 2, 3)) is W
    assert algebra.flip(W, ()) is W
    assert algebra.slice_axis(W, 1, 0, 3) is W
    assert algebra.concat([W], 0) is W
    assert algebra.pad(M, [(0, 0), (0, 0)]) is M
    assert algebra.sum_axes(M, ()) is M


@pytest.mark.parametrize(
    "build",
    [
        lambda: algebra.add(W, K),
        lambda: algebra.reshape(W, (7,)),
        lambda: algebra.along(M, 0, 2),
        lambda: algebra.transpose(M, (0, 0)),
        lambda: algebra.flip(M, (2,)),
        lambda: algebra.slice_axis(M, 0, 2, 4),
        lambda: algebra.concat([M, W], 0),
        lambda: algebra.pad(M, [(1, 1)]),
        lambda: algebra.take(M, 0, [3]),
        lambda: algebra.sum_axes(M, (1, 1)),
        lambda: algebra.einsum("ab,ac->bc", M, W),
        lambda: algebra.einsum("ab,bc->ac", M, M),
        lambda: algebra.embed_table(K, [[0], [1]], 3),
        lambda: algebra.embed_table(K, [[0, 1, 2, 3, 4]], 4),
    ],
)
def test_operands_that_do_not_fit(build):
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are for developers
        build()


def test_float64_from_float32_values():
    value = np.float32(0.1)
    parameter = Parameter("x", (), "ones")
    result = evaluate(algebra.multiply(parameter, parameter), {"x": np.array(value)})
    assert result.dtype == np.float64
    assert result == float(value) ** 2


def test_the_result_is_cast():
    assert evaluate(S, VALUES, np.float32).dtype == np.float32
    half = evaluate(algebra.divide(S, 2.0), VALUES, np.float32)
    assert np.array_equal(half, (s / 2).astype(np.float32))


def test_equal_parts_are_computed_once(monkeypatch):
    calls = []
    monkeypatch.setitem(FUNCTIONS, "sqrt", lambda a: calls.append(1) or np.sqrt(a))
    evaluator = Evaluator(VALUES)
    one = evaluator(algebra.multiply(algebra.sqrt(S), 2.0))
    two = evaluator(algebra.multiply(algebra.sqrt(Parameter("s", (4,), "he")), 2.0))
    assert np.array_equal(one, two)
    assert calls == [1]


def test_settings_tell_expressions_apart():
    evaluator = Evaluator(VALUES)
    first = evaluator(algebra.take(S, 0, [0]))
    second = evaluator(algebra.take(S, 0, [1]))
    assert first == s[0]
    assert second == s[1]


def test_deep_and_wide_expressions():
    expression = S
    for _ in range(20_000):
        expression = algebra.multiply(expression, algebra.add(expression, 1.0))
        expression = algebra.divide(expression, algebra.add(expression, 1.0))
    assert np.isfinite(evaluate(expression, VALUES)).all()


def test_results_that_are_not_finite():
    negative = {"s": np.array([1.0, -1, 1, 1])}
    with pytest.raises(CnnError, match="computed from s is not finite"):
        evaluate(algebra.sqrt(S), negative)
    with pytest.raises(CnnError, match="E0412"):
        evaluate(algebra.multiply(S, 1e39), VALUES, np.float32)


def test_values_of_another_shape():
    with pytest.raises(ValueError, match="s has shape"):
        evaluate(S, {"s": np.ones(3)})
