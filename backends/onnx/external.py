"""Tensors that an ONNX model leaves to other files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnx import ModelProto, TensorProto


def require_whole(serialized: bytes) -> None:
    """Raise ValueError if numbers of a model are in other files."""
    for tensor in _tensors(ModelProto.FromString(serialized)):
        if tensor.data_location == TensorProto.EXTERNAL:
            name = tensor.name or "a tensor"
            raise ValueError(f"{name} is in another file, which no signature covers")


def _tensors(message: Any) -> Iterator[TensorProto]:
    """All tensors in a message of protobuf: of graphs, of attributes of nodes, of functions."""
    if isinstance(message, TensorProto):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _tensors(part)
