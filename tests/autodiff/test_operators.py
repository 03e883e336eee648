"""The gradient of every operator against difference quotients, on all targets that have it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cnndsl.autodiff.gradients import gradient_graph
from cnndsl.backends.numpy import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.ir.operators import ArgMax, ConstantValue, Fixed, Input
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.ir.text import graph_text
from cnndsl.ir.verify import verify
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array
from tests.autodiff.differences import along, directions
from tests.onnx.support import BACKEND, assert_close
from tests.operators.cases import CASES, Case

NONE = (Input, ArgMax, ConstantValue)
"""Operators without a gradient."""
DIFFERENTIABLE = [
    case for case in CASES if not isinstance(case.operator, NONE) and case.id != "parameter-wide"
]


class Differentiated:
    """A case, its gradient graph by all inputs and parameters, and what both are given."""

    def __init__(self, case: Case):
        self.graph, self.values, self.inputs = case.graph(), case.values(), case.inputs()
        learned = [n for n, p in self.graph.parameters().items() if p.learned]
        moved = [] if isinstance(case.operator, Fixed) else self.graph.inputs
        self.back = gradient_graph(self.graph, None, [*moved, *learned], training=False)
        y = run_graph(self.graph, self.values, self.inputs)["y"]
        self.seed = np.random.default_rng(1).normal(size=y.shape)
        self.arrays = {name: self.inputs[name] for name in moved}
        self.arrays |= {name: self.values[name] for name in learned}
        self.given = {**self.inputs, "y.gradient": self.seed}

    def found(self) -> dict[str, Array]:
        return run_graph(self.back, self.values, self.given)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.id)
def test_a_gradient_is_what_difference_quotients_are(case: Case) -> None:
    it = Differentiated(case)
    verify(it.back)
    found = it.found()
    assert {name: a.shape for name, a in found.items()} == {
        f"{name}.gradient": a.shape for name, a in it.arrays.items()
    }
    for direction in directions(it.arrays, 1):
        wanted = along(it.graph, it.values, it.inputs, {"y": it.seed}, direction)
        terms = [found[f"{name}.gradient"] * d for name, d in direction.items()]
        scale = max(abs(wanted), sum(np.abs(term).sum() for term in terms))
        assert abs(sum(term.sum() for term in terms) - wanted) <= 1e-6 * max(scale, 1)


ONE_EACH = list({type(case.operator): case for case in DIFFERENTIABLE}.values())


@pytest.mark.parametrize("case", ONE_EACH, ids=lambda case: case.id)
def test_onnxruntime_computes_the_gradient_of_the_reference(case: Case) -> None:
    it = Differentiated(case)
    module = BACKEND.compile(it.back, it.values, CompileOptions())
    wanted = it.found()
    for name, array in module.run(it.given).items():
        assert_close(array, wanted[name])


@pytest.mark.parametrize("case", ONE_EACH, ids=lambda case: case.id)
def test_a_gradient_graph_goes_through_json(case: Case) -> None:
    it = Differentiated(case)
    again = from_json(json.loads(json.dumps(to_json(it.back))))
    assert graph_text(again) == graph_text(it.back)


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.operator, ArgMax)])
def test_what_has_no_gradient_is_refused_by_its_name(case: Case) -> None:
    with pytest.raises(CnnError, match=r"E0630.*argmax has no gradient, at 'y'"):
        gradient_graph(case.graph(), None, ["x0"], training=False)
