"""ONNX models that show the results of all nodes, and what they are made of."""

from __future__ import annotations

import math
from collections.abc import Collection

from onnx import ModelProto, helper


def with_all_results(
    serialized: bytes, nodes: Collection[str] | None = None
) -> tuple[bytes, dict[str, str]]:
    """The model with the results of all graph nodes as outputs, and their tensors by node name.

    The last of the ONNX nodes that a graph node became has its name; the others are called
    `<node>/<role>` (see `cnndsl.backends.onnx.emitter`) and are left out. So are, unless the names
    of the graph's `nodes` are known, those that passes added, which have such names too.
    """
    model = ModelProto.FromString(serialized)
    tensors = {
        node.name: node.output[0]
        for node in model.graph.node
        if ("/" not in node.name if nodes is None else node.name in nodes)
    }
    known = {value.name for value in model.graph.output}
    for tensor in tensors.values():
        if tensor not in known:
            model.graph.output.add().name = tensor
    return bytes(model.SerializeToString()), tensors


def initializer_bytes(serialized: bytes) -> int:
    """Bytes of all initializers."""
    return sum(
        math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        for tensor in ModelProto.FromString(serialized).graph.initializer
    )


def model_facts(serialized: bytes) -> dict[str, int]:
    """The standard operator set that a model needs, and how many nodes it has."""
    model = ModelProto.FromString(serialized)
    opset = next((used.version for used in model.opset_import if not used.domain), 0)
    return {"opset": opset, "nodes": len(model.graph.node)}
