"""The gate that every model passes before it is written.

The weights of a model do not matter to its validity, and checking hundreds of megabytes of them
is slow, so the check sees a twin of the model in which they are inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import ModelProto, TensorProto, TensorShapeProto, ValueInfoProto, helper

from cnndsl.backends.onnx.opset import NEWEST, in_opset
from cnndsl.ir.dims import Dim
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array


def check_model(
    skeleton: ModelProto, weights: Mapping[str, Array], types: Mapping[str, TensorType]
) -> list[ValueInfoProto]:
    """The inferred shapes of all tensors that nodes make, if the model is valid.

    Raises an error, which is a fault of the lowering, if it is not.

    `skeleton` is the model without its `weights`; `types` are our own types of its tensors, which
    strict shape inference must confirm; where sizes are open, it does not see through what is
    computed of them, and may know less. The checks of onnx raise their own errors.
    """
    twin = ModelProto()
    twin.CopyFrom(skeleton)
    for name, array in weights.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        twin.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    onnx.checker.check_model(twin, full_check=True)
    _modernise(twin)
    twin.graph.ClearField("output")
    inferred = onnx.shape_inference.infer_shapes(twin, strict_mode=True, data_prop=True)
    found = {info.name: info for info in [*inferred.graph.input, *inferred.graph.value_info]}
    is_open = any(expected.is_open for expected in types.values())
    for name, expected in types.items():
        _compare(name, found.get(name, ValueInfoProto()), expected, is_open)
    return list(inferred.graph.value_info)


def _modernise(model: ModelProto) -> None:
    """Rewrite a model to the newest opset, where inference sees through the most operators."""

    def integers(name: str, values: list[int]) -> str:
        model.graph.initializer.append(
            helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        )
        return name

    nodes = [in_opset(node, NEWEST, integers) for node in model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    model.opset_import[0].version = NEWEST


def _compare(name: str, found: ValueInfoProto, expected: TensorType, is_open: bool) -> None:
    dims = list(found.type.tensor_type.shape.dim)

    def agrees(have: TensorShapeProto.Dimension, want: Dim) -> bool:
        if not have.HasField("dim_value"):
            return is_open or not isinstance(want, int)
        return have.dim_value == want

    agree = len(dims) == len(expected.shape) + 1 and all(map(agrees, dims[1:], expected.shape))
    if not agree:
        shown = "x".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims)
        raise RuntimeError(f"{name} is batchx{expected}, but ONNX infers {shown or 'nothing'}")
