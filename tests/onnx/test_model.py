"""What is in the model: names, outputs, metadata, bytes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import cnndsl
from cnndsl.backends.onnx import limit
from cnndsl.backends.onnx.check import check_model
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.types import TensorType
from cnndsl.runtime.backend import CompileOptions, backend
from tests.onnx.support import (
    BACKEND,
    assert_close,
    compiled,
    model_of,
    names,
    reference,
    small_net,
    start,
    then,
)
from tests.operators.cases import parameter_values

IMAGE = np.random.default_rng(0).normal(size=(2, 3, 8, 8))


def shape_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_is_found_by_its_target():
    assert backend("onnx") is BACKEND
    assert (BACKEND.target, BACKEND.suffix) == ("onnx", ".onnx")


def test_nodes_and_initializers_have_the_names_of_the_network():
    graph = model_of(compiled(small_net())).graph
    assert graph.name == "net"
    assert names(graph.node) == ["stem.conv", "stem.bn", "relu", "stage1.0.conv2"]
    assert sorted(names(graph.initializer)) == sorted(small_net().parameters())
    assert names(graph.input) == ["image"]
    assert names(graph.output) == ["scores"]


def test_the_last_of_several_nodes_has_the_name():
    graph, x = start(3, 4, 4)
    x = then(graph, "pool", "global_avgpool", x)
    x = then(graph, "scale", "affine", x)
    graph.outputs = {"y": "scale"}
    model = model_of(compiled(graph)).graph
    assert names(model.node) == ["pool/mean", "pool", "scale/multiply0", "scale"]
    assert sorted(names(model.initializer)) == ["scale.bias", "scale.weight"]


def test_a_shared_parameter_is_stored_once():
    graph, x = start(3, 8, 8)
    first = then(graph, "layer", "conv", x, filters=3, kernel=3, flip=True)
    graph.add("again", first.op, [first], first.params)
    graph.outputs = {"y": "again"}
    module = compiled(graph)
    assert sorted(names(model_of(module).graph.initializer)) == ["layer.bias", "layer.weight"]
    expected = reference(graph, parameter_values(graph, 0), {"image": IMAGE})["y"]
    assert_close(module(IMAGE), expected)


def test_an_initializer_never_takes_the_name_of_a_tensor():
    graph, x = start(3, 8, 8)
    x = then(graph, "layer.weight", "relu", x)
    x = then(graph, "layer", "conv", x, filters=2, kernel=3)
    graph.outputs = {"y": "layer"}
    expected = reference(graph, parameter_values(graph, 0), {"image": IMAGE})["y"]
    assert_close(compiled(graph)(IMAGE), expected)


def test_outputs_in_the_middle_twice_and_straight_from_the_input():
    graph = small_net()
    graph.outputs = {
        "features": "stem.conv",
        "scores": "stage1.0.conv2",
        "same": "stage1.0.conv2",
        "copy": "image",
        "image": "image",
        "stem.bn": "relu",
    }
    module = compiled(graph)
    results = module(IMAGE)
    expected = reference(graph, parameter_values(graph, 0), {"image": IMAGE})
    assert list(results) == list(graph.outputs)
    for name, result in results.items():
        assert_close(result, expected[name])
    assert [n.name for n in model_of(module).graph.node if n.op_type == "Identity"] == [
        "same/output",
        "copy/output",
    ]


def test_an_output_cannot_hide_an_input():
    graph = small_net()
    graph.outputs = {"image": "relu"}
    with pytest.raises(CnnError, match="E0703"):
        compiled(graph)


def test_sizes_are_symbols_unless_they_are_known():
    graph = small_net(3, OpenDim.symbol("H"), 8)
    model = model_of(compiled(graph)).graph
    assert shape_of(model.input[0]) == ["batch", 3, "H", 8]
    assert shape_of(model.output[0]) == ["batch", 2, "H - 2", 6]
    model = model_of(compiled(graph, CompileOptions(batch=4))).graph
    assert shape_of(model.input[0]) == [4, 3, "H", 8]
    assert shape_of(model.output[0]) == [4, 2, "H - 2", 6]


def test_the_batch_is_no_size_of_the_network():
    model = model_of(compiled(small_net(3, OpenDim.symbol("batch"), 8))).graph
    assert shape_of(model.input[0]) == ["batch_", 3, "batch", 8]


def test_metadata_and_version():
    options = CompileOptions(metadata={"source_hash": "abc", "note": "mine"})
    module = compiled(small_net(), options)
    model = model_of(module)
    expected = {
        "network": "net",
        "version": cnndsl.__version__,
        "target": "onnx",
        "source_hash": "abc",
        "note": "mine",
    }
    assert {p.key: p.value for p in model.metadata_props} == expected == module.metadata
    assert (model.producer_name, model.producer_version) == ("cnndsl", cnndsl.__version__)


def test_the_same_network_gives_the_same_bytes():
    assert compiled(small_net()).serialized == compiled(small_net()).serialized
    assert compiled(small_net()).serialized != compiled(small_net(), seed=1).serialized


def test_models_pass_the_full_check():
    model = model_of(compiled(small_net()))
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def test_large_weights_and_tables_are_checked_by_shape_and_written():
    graph, x = start(3, 24, 24)
    x = then(graph, "local", "local_conv", x, filters=2, kernel=3)
    then(graph, "fc", "fc", x, units=9)
    graph.outputs = {"y": "fc"}
    module = compiled(graph)
    sizes = {t.name: np.prod(t.dims) for t in model_of(module).graph.initializer}
    assert sizes["local.indices"] == 22 * 22 * 9
    image = np.random.default_rng(1).normal(size=(2, 3, 24, 24))
    assert_close(module(image), reference(graph, parameter_values(graph, 0), {"image": image})["y"])


def test_a_wrong_lowering_does_not_get_through():
    model = model_of(compiled(small_net()))
    check_model(model, {}, {"scores": TensorType((2, 6, 6))})
    with pytest.raises(RuntimeError, match=r"scores is batchx2x7x6, but ONNX infers batchx2x6x6"):
        check_model(model, {}, {"scores": TensorType((2, 7, 6))})
    with pytest.raises(RuntimeError, match="scores"):
        check_model(model, {}, {"scores": TensorType((2, OpenDim.symbol("H"), 6))})
    with pytest.raises(RuntimeError, match="nothing"):
        check_model(model, {}, {"absent": TensorType((2,))})
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(onnx.checker.ValidationError):
        check_model(model, {}, {})


def test_a_model_that_does_not_fit_into_a_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limit, "LARGEST_FILE", 100)
    with pytest.raises(CnnError, match="E0701"):
        compiled(small_net())
