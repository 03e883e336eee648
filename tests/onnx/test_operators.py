"""onnxruntime against the reference, for every operator."""

from __future__ import annotations

from dataclasses import replace

import onnx
import pytest

from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.types import Shape
from cnndsl.runtime.backend import CompileOptions
from tests.onnx.support import BACKEND, assert_close, model_of, reference
from tests.operators.cases import CASES, Case
from tests.operators.test_brute_force import KNOWN_SIZES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_agrees_with_the_reference(case: Case):
    graph, values, inputs = case.graph(), case.values(), case.inputs()
    module = BACKEND.compile(graph, values, CompileOptions())
    assert_close(module.run(inputs)["y"], reference(graph, values, inputs)["y"])
    assert {node.domain for node in model_of(module).graph.node} == {""}


COUNTED = [case for case in CASES if getattr(case.operator, "include_pad", False)]


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case.id)
def test_padding_that_counts_is_written_out(case: Case):
    """onnxruntime 1.21 to 1.24 divides wrongly where it differs, OpenCV always."""
    graph = model_of(BACKEND.compile(case.graph(), case.values(), CompileOptions())).graph
    (pool,) = (node for node in graph.node if node.op_type == "AveragePool")
    given = {a.name: onnx.helper.get_attribute_value(a) for a in pool.attribute}
    assert given["count_include_pad"] == 0
    assert "Pad" in {node.op_type for node in graph.node}


SPATIAL = [case for case in CASES if any(len(shape) > 1 for shape in case.shapes)]


@pytest.mark.parametrize("case", SPATIAL, ids=lambda case: case.id)
def test_one_model_runs_at_several_sizes(case: Case):
    try:
        opened = case.graph(tuple(with_open_sizes(shape) for shape in case.shapes))
    except OperatorError:
        assert needs_known_sizes(case)
        return
    module = BACKEND.compile(opened, case.values(), CompileOptions())
    for batch, growth in ((1, 0), (3, 1), (2, 6)):
        shapes = tuple(
            (shape[0], *(1 if n == 1 else n + growth for n in shape[1:])) for shape in case.shapes
        )
        sized = replace(case, shapes=shapes, batch=batch)
        inputs = sized.inputs()
        expected = reference(sized.graph(), case.values(), inputs)["y"]
        assert_close(module.run(inputs)["y"], expected)


def with_open_sizes(shape: Shape) -> Shape:
    """All sizes but those of 1, which operands of joins are repeated along."""
    opened: list[Dim] = [
        n if n == 1 else OpenDim.symbol(f"size{axis}") for axis, n in enumerate(shape[1:])
    ]
    return (shape[0], *opened)


def needs_known_sizes(case: Case) -> bool:
    pad = getattr(case.operator, "pad", None)
    return case.id.startswith(KNOWN_SIZES) or pad in ("same_upper", "same_lower")
