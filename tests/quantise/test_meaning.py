"""Operators on codes against docs/precision.md in Python's own numbers, one element at a time."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.numpy import run_graph
from cnndsl.ir import operators as ops
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Input, Meaning, Quantise, Quantised, function_values, meaning_of
from cnndsl.ir.part import Part
from cnndsl.ir.quantisation import MOST_PRODUCTS, Quantisation
from cnndsl.ir.verify import verify
from cnndsl.quantise.layers import layer_params, map_params, plain_layer
from cnndsl.runtime.module import Array
from cnndsl.weights.evaluate import evaluate
from tests.operators.brute import BRUTE
from tests.operators.brute_windows import adaptive, pool
from tests.operators.cases import CASES, Case


def f32(x: float) -> float:
    """The nearest float32, by way of its four bytes."""
    return struct.unpack("f", struct.pack("f", x))[0]


def sixteen_bits(x: float) -> float:
    fraction, exponent = math.frexp(x)
    return math.ldexp(round(math.ldexp(fraction, 16)), exponent - 16)


def store(steps: float, op: Quantised) -> int:
    assert op.result is not None
    return min(max(round(steps) + op.result.zero, op.low), op.high)


def stored(steps: Array, op: Quantised) -> Array:
    result = np.zeros(steps.shape, int)
    for index in np.ndindex(*steps.shape):
        result[index] = store(float(steps[index]), op)
    return result


def linear(case: Case, op: Quantised, x: list[Array], given: dict[str, Array]) -> Array:
    (source,), result = op.sources, op.result
    assert result is not None
    weight = given["weight"]
    bias = given.get("bias", np.zeros(len(weight)))
    scales = [
        f32(max(np.abs(w).max() / 127, abs(b) / (source.scale * 2**30)))
        for w, b in zip(weight, bias, strict=True)
    ]
    whole = {"weight": np.zeros(weight.shape), "bias": np.zeros(len(weight))}
    for c, *rest in np.ndindex(*weight.shape):
        whole["weight"][(c, *rest)] = round(weight[(c, *rest)] / scales[c])
    for c, b in enumerate(bias):
        whole["bias"][c] = round(b / (source.scale * scales[c]))
    sums = BRUTE[type(case.operator)](case.operator, x, whole)
    steps = np.zeros(sums.shape)
    for c, *at in np.ndindex(*sums.shape):
        assert abs(sums[(c, *at)]) < 2**31
        multiplier = f32(f32(source.scale * scales[c]) / result.scale)
        steps[(c, *at)] = f32(f32(sums[(c, *at)]) * multiplier)
    return stored(steps, op)


def joined(value: Callable[[Quantised, list[float]], float]) -> Callable[..., Array]:
    """Operands of fewer axes are repeated over the positions."""

    def brute(case: Case, op: Quantised, x: list[Array], _: dict[str, Array]) -> Array:
        rank = max(a.ndim for a in x)
        full = np.broadcast_arrays(*(a.reshape(*a.shape, *(1,) * (rank - a.ndim)) for a in x))
        steps = np.zeros(full[0].shape)
        for index in np.ndindex(*steps.shape):
            steps[index] = value(op, [float(a[index]) for a in full])
        return stored(steps, op)

    return brute


def weighted_sum(op: Quantised, x: list[float]) -> float:
    assert op.result is not None
    total = None
    for i, (number, source) in enumerate(zip(x, op.sources, strict=True)):
        factor = source.scale / op.result.scale
        factor *= -1 if i and isinstance(op.op, ops.Subtract) else 1
        factor /= len(x) if isinstance(op.op, ops.Average) else 1
        term = number * sixteen_bits(factor)
        assert f32(term) == term
        total = term if total is None else f32(total + term)
    assert total is not None
    return total


def product(op: Quantised, x: list[float]) -> float:
    assert op.result is not None
    first, second = op.sources
    return f32(x[0] * x[1] * f32(f32(first.scale * second.scale) / op.result.scale))


def mean(case: Case, op: Quantised, x: list[Array], _: dict[str, Array]) -> Array:
    (source,), result = op.sources, op.result
    assert result is not None

    def of(numbers: Sequence[float], count: int) -> float:
        return f32(f32(sum(numbers)) * f32(source.scale / (result.scale * count)))

    def window(bound: Any, found: list[tuple[float, float]], clipped: int) -> float:
        return of([v for v, _ in found], clipped if bound.include_pad else len(found))

    is_window = isinstance(case.operator, ops.AvgPool)
    brute = pool(window) if is_window else adaptive(lambda numbers: of(numbers, len(numbers)))
    return stored(brute(case.operator, x, {}), op)


def move(case: Case, op: Quantised, x: list[Array], _: dict[str, Array]) -> Array:
    assert op.result is not None
    rescaled = []
    for a, source in zip(x, op.sources, strict=True):
        b = np.array(a)
        if source != op.result:
            for index in np.ndindex(*a.shape):
                steps = round(f32(a[index] * f32(source.scale / op.result.scale)))
                b[index] = min(max(steps + op.result.zero, 0), 255) - op.result.zero
        rescaled.append(b)
    return stored(BRUTE[type(case.operator)](case.operator, rescaled, {}), op)


def channel_map(case: Case, op: Quantised, x: list[Array], given: dict[str, Array]) -> Array:
    (source,), result = op.sources, op.result
    assert result is not None
    steps = np.zeros(x[0].shape)
    for c, *at in np.ndindex(*steps.shape):
        factor = sixteen_bits(given["weight"][c] * (source.scale / result.scale))
        term = x[0][(c, *at)] * factor
        assert f32(term) == term
        shift = f32(given["bias"][c] / result.scale) if "bias" in given else 0.0
        steps[(c, *at)] = f32(term + shift)
    return stored(steps, op)


def table(case: Case, op: Quantised, x: list[Array], _: dict[str, Array]) -> Array:
    assert op.result is not None
    numbers = x[0] * op.sources[0].scale
    return stored(BRUTE[type(case.operator)](case.operator, [numbers], {}) / op.result.scale, op)


EXPECTED: dict[Meaning, Callable[..., Array]] = {
    Meaning.LINEAR: linear,
    Meaning.SUM: joined(weighted_sum),
    Meaning.PRODUCT: joined(product),
    Meaning.MEAN: mean,
    Meaning.MOVE: move,
    Meaning.MAP: channel_map,
    Meaning.TABLE: table,
}


def meaning(case: Case) -> Meaning | None:
    part = case.graph()["y"].core if case.shapes else None
    return part and meaning_of(part.op, part.inputs)


def is_finite(case: Case) -> bool:
    """Whether a function of single elements has a value everywhere."""
    if meaning(case) is not Meaning.TABLE:
        return True
    return bool(np.isfinite(function_values(case.operator, np.linspace(-9, 9, 361))).all())


FLAT = [case for case in CASES if case.shapes and max(map(len, case.shapes)) <= 3]
"""Volumes take long in plain loops, and have no code of their own."""
QUANTISED = [case for case in FLAT if meaning(case) is not None and is_finite(case)]


def random_scales(case: Case, seed: int) -> tuple[list[Quantisation], Quantisation]:
    rng = np.random.default_rng(seed)

    def one(largest: float) -> Quantisation:
        zero = int(rng.choice([0, 128, 255, rng.integers(256)]))
        return Quantisation(largest / 255 * rng.uniform(0.5, 1.5), zero)

    sources = [one(4.0) for _ in case.shapes]
    alike = meaning(case) is Meaning.MOVE and seed % 2
    return ([sources[0]] * len(sources), sources[0]) if alike else (sources, one(8.0))


def on_codes(case: Case, sources: Sequence[Quantisation], result: Quantisation) -> Graph:
    """x0, x1, ... as codes -> y, clipped."""
    part = case.graph()["y"].core
    graph = Graph("case")
    inputs = [graph.add(f"x{i}", Input(shape), []) for i, shape in enumerate(case.shapes)]
    graph.inputs = [node.name for node in inputs]
    operands = [
        graph.add(f"q{i}", Quantise(source), [x])
        for i, (x, source) in enumerate(zip(inputs, sources, strict=True))
    ]
    op, params = step(part, sources[0], result)
    graph.add("y", Quantised(op, result, 3, 250), operands, params)
    graph.outputs = {"y": "y"}
    return graph


def step(part: Part[Operator], source: Quantisation, result: Quantisation) -> tuple[Any, Any]:
    match meaning_of(part.op, part.inputs):
        case Meaning.LINEAR:
            return plain_layer(part.op), layer_params(part, source, result, None)
        case Meaning.MAP:
            return part.op, map_params(dict(part.params), source, result)
    return part.op, {}


@pytest.mark.parametrize("case", QUANTISED, ids=lambda case: case.id)
def test_codes(case: Case) -> None:
    seed = QUANTISED.index(case)
    sources, result = random_scales(case, seed)
    graph = on_codes(case, sources, result)
    verify(graph)
    values = case.values()
    rng = np.random.default_rng(seed)
    inputs = {
        f"x{i}": source.decode(rng.integers(0, 256, (1, *shape)))
        for i, (shape, source) in enumerate(zip(case.shapes, sources, strict=True))
    }
    made = run_graph(
        graph, values, inputs, "float32", ["y", *(f"q{i}" for i in range(len(inputs)))]
    )
    node = graph["y"]
    assert isinstance(node.op, Quantised)
    centred = [
        made[f"q{i}"][0].astype(float) - source.zero for i, source in enumerate(node.op.sources)
    ]
    given = {r: evaluate(e, values) for r, e in case.graph()["y"].params.items()}
    want = EXPECTED[node.op.meaning](case, node.op, centred, given)
    assert made["y"].dtype == np.uint8
    np.testing.assert_array_equal(made["y"][0], want)


def test_every_meaning_has_cases() -> None:
    assert {meaning(case) for case in QUANTISED} == set(Meaning)


def test_the_longest_sum_fits_into_32_bits() -> None:
    assert 255 * 127 * MOST_PRODUCTS + 2**30 < 2**31 <= 255 * 127 * (MOST_PRODUCTS + 1) + 2**30


@pytest.mark.parametrize(
    ("number", "code"),
    [(0.25, 10), (0.75, 12), (-0.25, 10), (1e9, 255), (-1e9, 0), (math.nan, 0), (math.inf, 255)],
)
def test_encoding_rounds_ties_to_even_and_saturates(number: float, code: int) -> None:
    assert Quantisation(0.5, 10).encode(np.float32(number)) == code
