"""The arrays that a model holds, in its file or in files beside it; they are read when needed."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnndsl.importers.onnx.refusal import Refusal, damaged
from cnndsl.importers.onnx.wire import OWN_FILE

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto

Array: TypeAlias = NDArray[Any]

FORMATS: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    16: "bfloat16",
}
"""Formats of numbers that are read: `TensorProto.DataType` of ONNX, and numpy's names."""

FLOATS = frozenset(number for number, name in FORMATS.items() if "float" in name)

ELEMENTS = 2**31
"""Numbers of one array."""


class Tensors:
    """The initialisers of a graph, by name; `path` is the file of the model."""

    def __init__(self, graph: GraphProto, path: Path):
        self._path = path
        self._protos: dict[str, TensorProto] = {}
        for proto in graph.initializer:
            if proto.name in self._protos:
                raise damaged(f"two initialisers are called {proto.name!r}")
            self._protos[proto.name] = proto
        if graph.sparse_initializer:
            raise Refusal("E0802", "the model has sparse initialisers")
        self._arrays: dict[str, Array] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._protos

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            self._arrays[name] = self.array(self._protos[name])
        return self._arrays[name]

    def add(self, proto: TensorProto, name: str) -> None:
        """Take a tensor in that is no initialiser of the graph itself. Raises Refusal."""
        if self._protos.setdefault(name, proto) is not proto:
            raise damaged(f"two tensors are called {name!r}")

    def size(self, name: str) -> int:
        """How many numbers an initialiser says that it has."""
        return math.prod(self._protos[name].dims)

    def add_name(self, name: str, known: str) -> bool:
        """Call an initialiser by another name too, unless there is one of that name."""
        return self._protos.setdefault(name, self._protos[known]) is self._protos[known]

    def array(self, proto: TensorProto) -> Array:
        """The array of a tensor; bfloat16 becomes float32. Raises Refusal."""
        from onnx import TensorProto

        what = f"the tensor {proto.name!r}" if proto.name else "a constant"
        if proto.data_type not in FORMATS:
            names = TensorProto.DataType
            known = proto.data_type in names.values()
            shown = names.Name(proto.data_type) if known else str(proto.data_type)
            raise Refusal("E0802", f"{what} holds {shown}, which is not read")
        if any(size < 0 for size in proto.dims) or len(proto.dims) > 16:
            raise damaged(f"{what} has the shape {list(proto.dims)[:16]}")
        if math.prod(proto.dims) > ELEMENTS:
            raise Refusal("E0805", f"{what} has more than {ELEMENTS:,} numbers")
        if proto.HasField("segment"):
            raise damaged(f"{what} is a part of another")
        array = self._external(proto, what) if _is_external(proto) else _stored(proto, what)
        return array.astype(np.float32) if proto.data_type == TensorProto.BFLOAT16 else array

    def _external(self, proto: TensorProto, what: str) -> Array:
        """Numbers in a file of the model's folder, or one in it."""
        from onnx import helper

        entries = {entry.key: entry.value for entry in proto.external_data}
        try:
            path = self._inside(entries.get("location", ""))
            offset = int(entries.get("offset", 0))
            dtype = helper.tensor_dtype_to_np_dtype(proto.data_type).newbyteorder("<")
            count = math.prod(proto.dims)
            length = int(entries.get("length", count * dtype.itemsize))
            if offset < 0 or length != count * dtype.itemsize:
                raise ValueError(f"{length} bytes for {count} numbers of {dtype.itemsize}")
            if offset + length > path.stat().st_size:
                raise ValueError(f"{path.name} is too short")
            return np.fromfile(path, dtype, count, offset=offset).reshape(tuple(proto.dims))
        except (OSError, ValueError) as error:
            raise Refusal(
                "E0806",
                f"cannot read {what} from its file: {getattr(error, 'strerror', None) or error}",
                "keep the model and its files in one folder",
            ) from None

    def _inside(self, location: str) -> Path:
        """The regular file of a relative path that does not leave the folder, through links either.

        Raises ValueError.
        """
        if location == OWN_FILE:
            return self._path
        root = Path(os.path.realpath(self._path.parent))
        path = Path(os.path.realpath(root / location))
        if not location or os.path.isabs(location) or not path.is_relative_to(root):
            raise ValueError(f"{location!r} is not in the folder of the model")
        if not path.is_file():
            raise ValueError(f"there is no file {location!r}")
        return path


def _is_external(proto: TensorProto) -> bool:
    from onnx import TensorProto

    return proto.data_location == TensorProto.EXTERNAL


def _stored(proto: TensorProto, what: str) -> Array:
    """Numbers in the model itself, which must be as many as the shape says."""
    from onnx import helper, numpy_helper

    dtype = helper.tensor_dtype_to_np_dtype(proto.data_type)
    count = math.prod(proto.dims)
    if proto.HasField("raw_data"):
        fits = len(proto.raw_data) == count * dtype.itemsize
    else:
        field = helper.tensor_dtype_to_field(proto.data_type)
        fits = len(getattr(proto, field)) == count
    if not fits:
        raise damaged(f"{what} does not hold the {count} numbers of its shape {list(proto.dims)}")
    return numpy_helper.to_array(proto)
