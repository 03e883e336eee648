"""The operator set of a model: the oldest that has its operators, or the one asked for."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

import cnndsl
from cnndsl.backends.onnx.module import OnnxModule
from cnndsl.backends.onnx.opset import NEWEST
from cnndsl.backends.onnx.options import OnnxOptions
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Module
from tests.onnx.support import BACKEND, assert_close, compiled, model_of, reference, start, then
from tests.operators.cases import CASES, Case, parameter_values


def opset_of(module: Module) -> int:
    assert isinstance(module, OnnxModule)
    model = model_of(module)
    (stamp,) = model.opset_import
    assert model.ir_version == helper.find_min_ir_version_for([stamp])
    return stamp.version


COMPARING = ("celu-alpha", "thresholded_relu")
"""Made of GreaterOrEqual, which opset 12 brought."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_operators_need_an_old_opset_and_run_in_newer_ones(case: Case):
    graph, values, inputs = case.graph(), case.values(), case.inputs()
    name = case.operator.name
    over_channels_of_maps = name in ("softmax", "log_softmax") and len(case.shapes[0]) > 1
    oldest = 13 if over_channels_of_maps else 12 if case.id.startswith(COMPARING) else 11
    expected = reference(graph, values, inputs)["y"]
    assert opset_of(BACKEND.compile(graph, values, CompileOptions())) == oldest
    module = BACKEND.compile(graph, values, OnnxOptions(opset=21))
    assert opset_of(module) == 21
    for node in model_of(module).graph.node:
        named = {attribute.name for attribute in node.attribute}
        assert node.op_type != "Pad" or "mode" in named, "pnnx does not know the default"
    assert_close(module.run(inputs)["y"], expected)


@pytest.mark.parametrize("opset", [11, 13, 18, NEWEST])
def test_axes_are_an_attribute_or_an_operand(opset: int):
    graph, x = start(4, 5, 5)
    vector = then(graph, "squeeze", "global_avgpool", x)
    x = then(graph, "excite", "mul", x, vector)
    x = then(graph, "pool", "adaptive_avgpool", x, size=[2, 3])
    graph.outputs = {"y": then(graph, "y", "rbf", x, units=3).name}
    image = np.random.default_rng(0).normal(size=(2, 4, 5, 5))
    module = compiled(graph, OnnxOptions(opset=opset))
    with_attribute = {
        node.op_type
        for node in model_of(module).graph.node
        if any(a.name == "axes" for a in node.attribute)
    }
    assert with_attribute == {
        11: {"Unsqueeze", "ReduceMean", "ReduceSumSquare"},
        13: {"ReduceMean", "ReduceSumSquare"},
    }.get(opset, set())
    expected = reference(graph, parameter_values(graph, 0), {"image": image})["y"]
    assert_close(module(image), expected)


def test_softmax_over_the_channels_of_a_map_meant_something_else_before_13():
    graph, x = start(3, 4, 4)
    graph.outputs = {"y": then(graph, "y", "softmax", x).name}
    with pytest.raises(CnnError, match=r"E0704.*needs ONNX opset 13, not 12: Softmax of 'y'"):
        compiled(graph, OnnxOptions(opset=12))


def test_an_opset_that_does_not_exist_is_refused():
    graph, x = start(3, 4, 4)
    graph.outputs = {"y": then(graph, "y", "relu", x).name}
    assert opset_of(compiled(graph, OnnxOptions(opset=NEWEST))) == NEWEST
    with pytest.raises(CnnError, match="E0704"):
        compiled(graph, OnnxOptions(opset=NEWEST + 1))
    with pytest.raises(CnnError, match=r"E0615.*opset is a whole number from 11 on"):
        compiled(graph, OnnxOptions(opset=10))


def test_networks_of_plain_layers_need_opset_11_and_the_file_format_of_it():
    module = cnndsl.compile("resnet20_cifar", seed=0)
    assert (opset_of(module), model_of(module).ir_version) == (11, 6)


def test_every_tensor_has_a_shape():
    module = cnndsl.compile("grouped_shuffled", seed=0)
    assert isinstance(module, OnnxModule)
    graph = model_of(module).graph
    known = {value.name: value for value in [*graph.value_info, *graph.output]}
    made = [name for node in graph.node for name in node.output]
    assert sorted(known) == sorted(made)
    assert all(value.type.tensor_type.shape.dim for value in known.values())
    onnx.checker.check_model(model_of(module), full_check=True)
