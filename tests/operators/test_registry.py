"""What every operator has to say of itself, and whether it is so: one walk over the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from cnndsl.backends.cpu.codegen.steps import _functions
from cnndsl.backends.cpu.kernels import FAMILIES as CPU
from cnndsl.backends.cuda.kernels import FAMILIES as GPU
from cnndsl.backends.cuda.steps import FUNCTIONS as CUDA
from cnndsl.backends.native.prepare import REPLACED
from cnndsl.backends.native.task import is_step
from cnndsl.backends.numpy import run_graph
from cnndsl.backends.numpy.kernels import KERNELS
from cnndsl.backends.onnx.lower import LOWERINGS
from cnndsl.backends.onnx.lower.activation import FUNCTIONS as ONNX
from cnndsl.ir.formula import FUNCTIONS
from cnndsl.ir.operator import Reads, Sign
from cnndsl.ir.operators import (
    ALL,
    BACKWARD,
    BY_NAME,
    FORMATS,
    Channelwise,
    Concat,
    Gathering,
    Input,
    Shorthand,
    SqueezeExcite,
)
from cnndsl.runtime.module import Array
from tests.operators.brute import BRUTE, PLAIN
from tests.operators.cases import CASES, Case

NAMED = {op.name: op for op in ALL}
HELD = [op for op in ALL if not issubclass(op, Shorthand)]
COMPUTED = [case for case in CASES if not isinstance(case.operator, Input)]


def test_every_name_is_that_of_one_operator():
    assert len(NAMED) == len(ALL)
    assert set(BY_NAME) <= set(NAMED)


def test_every_operator_is_complete():
    """Abstract declarations that are left out, cases, kernels of the reference, lowerings."""
    assert {op.name: sorted(op.__abstractmethods__) for op in ALL if op.__abstractmethods__} == {}
    assert {type(case.operator) for case in CASES} | {Input} == {
        op for op in ALL if not op.internal
    }
    assert {Input, *KERNELS} == {*HELD, *FORMATS, *BACKWARD}
    assert set(LOWERINGS) == {*HELD, *FORMATS, *BACKWARD}
    assert set(BRUTE) == {op for op in ALL if not op.internal}


@pytest.mark.parametrize(("families", "others"), [(CPU, ()), (GPU, (SqueezeExcite, Concat))])
def test_generated_code_computes_every_operator(families: Sequence[type], others: Sequence[type]):
    """By a kernel, a function of single elements, or another operator in its place."""
    steps = {type(case.operator) for case in CASES if is_step(case.operator)}
    known = (*families, *steps, *REPLACED, *others, Input)
    assert [op.name for op in HELD if not issubclass(op, known)] == []


def test_every_backend_writes_the_functions_of_formulas():
    assert set(FUNCTIONS) == set(CUDA) == set(ONNX) == set(_functions(4)) == set(PLAIN)


def run(case: Case, inputs: Mapping[str, Array]) -> Array:
    return run_graph(case.graph(), case.values(), inputs, "float64")["y"]


@pytest.mark.parametrize("case", COMPUTED, ids=lambda case: case.id)
def test_what_a_case_declares_is_so(case: Case):
    """Signs, gradients that read nothing, windows, channels: by what changes when inputs do."""
    node, inputs = case.graph()["y"], case.inputs()
    op, result = node.op, run(case, inputs)
    positive = {name: np.abs(x) for name, x in inputs.items()}
    if op.sign is not Sign.ANY:
        assert (run(case, positive) >= 0).all()
    if op.sign is Sign.NONNEGATIVE:
        assert (result >= 0).all()
    if op.gradient is Reads.NOTHING:
        other = {name: x[::-1] + 1 for name, x in inputs.items()}
        middle = {name: (x + other[name]) / 2 for name, x in inputs.items()}
        np.testing.assert_allclose(run(case, middle), (result + run(case, other)) / 2, rtol=1e-9)
    if isinstance(op, Channelwise):
        check_channels(case, inputs, result)
    check_windows(case, inputs, result)
    if len(inputs) == 1 and op.is_identity(case.graph()["x0"].type):
        np.testing.assert_array_equal(result, inputs["x0"])


MOVED = [case for case in COMPUTED if isinstance(case.operator, Gathering)]


@pytest.mark.parametrize("case", MOVED, ids=lambda case: case.id)
def test_moved_elements_come_from_where_the_operator_says(case: Case):
    """Their indices, within their bounds; what is outside of the operand is the fill."""
    graph, (x,) = case.graph(), case.inputs().values()
    op, result = graph["y"].op, run(case, {"x0": x})
    source = op.source(graph["x0"].type)
    for at in np.ndindex(*result.shape[1:]):
        place = tuple(index.compute(at) for index in source)
        bounds = [index.bounds(result.shape[1:]) for index in source]
        assert all(low <= i <= high for i, (low, high) in zip(place, bounds, strict=True))
        inside = all(0 <= i < n for i, n in zip(place, x.shape[1:], strict=True))
        assert inside or op.fill is not None
        expected = x[(slice(None), *place)] if inside else op.fill
        np.testing.assert_array_equal(result[(slice(None), *at)], expected)


def check_channels(case: Case, inputs: Mapping[str, Array], result: Array) -> None:
    """A change of the first channel changes no other one."""
    changed = inputs["x0"].copy()
    changed[:, 0] += 1
    np.testing.assert_array_equal(run(case, {"x0": changed})[:, 1:], result[:, 1:])


def check_windows(case: Case, inputs: Mapping[str, Array], result: Array) -> None:
    """Results whose windows do not hold a position do not change with it."""
    graph = case.graph()
    types = graph.input_types(graph["y"])
    windows = graph["y"].op.windows(types)
    if not windows or len({x.rank for x in types}) > 1:
        return
    for axis, window in enumerate(windows):
        size, results = inputs["x0"].shape[2 + axis], np.arange(result.shape[2 + axis])
        low = (results * window.step + window.low) // window.each
        high = (results * window.step + window.high) // window.each
        for position in {0, size // 2}:
            changed = {name: x.copy() for name, x in inputs.items()}
            for x in changed.values():
                x.swapaxes(0, 2 + axis)[position] += 1
            differs = np.moveaxis(run(case, changed) != result, 2 + axis, 0)
            seen = differs.reshape(len(results), -1).any(1)
            assert not (seen & ~((low <= position) & (position <= high))).any()


@pytest.mark.parametrize("case", [c for c in CASES if is_step(c.operator)], ids=lambda c: c.id)
def test_a_gradient_that_reads_the_result_follows_from_it(case: Case):
    """In the order of the results slopes change little, but for two kinks at most."""
    if case.operator.gradient is not Reads.RESULT:
        return
    x = np.linspace(-9, 9, 20001)
    y = run(Case(case.id, case.operator, ((1,),)), {"x0": x[:, None]})[:, 0]
    slopes, middles = np.diff(y) / np.diff(x), (y[1:] + y[:-1]) / 2
    slopes = slopes[np.argsort(middles)]
    kinks = np.abs(np.diff(slopes)) > 0.05 * np.maximum(1, np.abs(slopes[1:]))
    assert kinks.sum() <= 4
