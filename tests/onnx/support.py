"""Small graphs, and how the ONNX tests compile and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from cnndsl.backends.numpy import BACKEND as REFERENCE
from cnndsl.backends.numpy.options import ReferenceOptions
from cnndsl.backends.onnx.backend import BACKEND
from cnndsl.backends.onnx.module import OnnxModule
from cnndsl.ir.attributes import build
from cnndsl.ir.dims import Dim
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.operators.structure import Input
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array
from tests.operators.cases import apply, parameter_values

TOLERANCE = 1e-5
"""Largest error, relative to the largest output."""


def start(*shape: Dim, name: str = "image") -> tuple[Graph, Node]:
    """A graph with one input."""
    graph = Graph("net")
    node = graph.add(name, Input(shape), [])
    graph.inputs = [name]
    return graph, node


def then(graph: Graph, name: str, operator: str, *operands: Node, **attributes: object) -> Node:
    """Add a node whose parameters are called `<name>.<role>`."""
    return apply(graph, name, build(BY_NAME[operator], attributes), list(operands))


def small_net(*shape: Dim) -> Graph:
    """conv -> bn -> relu -> conv, the last one as output `scores`."""
    graph, x = start(*(shape or (3, 8, 8)))
    x = then(graph, "stem.conv", "conv", x, filters=4, kernel=3)
    x = then(graph, "stem.bn", "bn", x)
    x = then(graph, "relu", "relu", x)
    then(graph, "stage1.0.conv2", "conv", x, filters=2, kernel=3, pad="valid")
    graph.outputs = {"scores": "stage1.0.conv2"}
    return graph


def compiled(graph: Graph, options: CompileOptions | None = None, seed: int = 0) -> OnnxModule:
    """The ONNX module with random parameters."""
    values = parameter_values(graph, seed)
    module = BACKEND.compile(graph, values, options or CompileOptions())
    assert isinstance(module, OnnxModule)
    return module


def model_of(module: OnnxModule) -> onnx.ModelProto:
    """The model as onnx reads it."""
    return onnx.load_model_from_string(module.serialized)


def reference(
    graph: Graph, values: Mapping[str, Array], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """All outputs from the float64 reference backend."""
    module = REFERENCE.compile(graph, values, ReferenceOptions(dtype="float64"))
    return module.run(inputs)


def assert_close(actual: Array, expected: Array) -> None:
    """Equal shapes, float32, and values within the tolerance."""
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= TOLERANCE * np.abs(expected).max()


def names(protos: Sequence[onnx.NodeProto | onnx.TensorProto | onnx.ValueInfoProto]) -> list[str]:
    """The names of some protobuf messages."""
    return [proto.name for proto in protos]
