"""Writes what torch.save writes, in both formats, with the standard pickle module alone.

pickle looks up every class that it names, so stand-ins take the places of PyTorch's modules
while it writes.
"""

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

STORAGE_TYPES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
LEGACY_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


def _stand_in(module: str, name: str) -> Any:
    return type(name, (), {"__module__": module})


TORCH, UTILS = ModuleType("torch"), ModuleType("torch._utils")
for storage_type in STORAGE_TYPES.values():
    setattr(TORCH, storage_type, _stand_in("torch", storage_type))
for function in ("_rebuild_tensor_v2", "_rebuild_parameter"):
    setattr(UTILS, function, _stand_in("torch._utils", function))
STAND_INS = {"torch": TORCH, "torch._utils": UTILS}


class Storage:
    """A flat array that tensors can share. `claimed` is the length that the pickle states."""

    def __init__(self, key: str, numbers: np.ndarray, claimed: int | None = None):
        self.key = key
        self.numbers = numbers
        self.claimed = numbers.size if claimed is None else claimed


class Tensor:
    """A view of a storage: offset and strides count numbers, and may be nonsense."""

    def __init__(self, storage: Storage, shape: tuple, strides: tuple, offset: int = 0):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple:
        return UTILS._rebuild_tensor_v2, self.arguments


class Parameter:
    """torch.nn.Parameter around a tensor."""

    def __init__(self, data: Tensor):
        self.data = data

    def __reduce__(self) -> tuple:
        return UTILS._rebuild_parameter, (self.data, True, OrderedDict())


def tensor(key: str, array: Any) -> Tensor:
    """A contiguous tensor with a storage of its own."""
    array = np.array(array, order="C")
    strides = tuple(stride // array.itemsize for stride in array.strides)
    return Tensor(Storage(key, array.reshape(-1)), array.shape, strides)


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, protocol: int, *, legacy: bool):
        super().__init__(stream, protocol)
        self.legacy = legacy
        self.storages: dict[str, Storage] = {}

    def persistent_id(self, item: Any) -> tuple | None:
        if not isinstance(item, Storage):
            return None
        self.storages[item.key] = item
        kind = getattr(TORCH, STORAGE_TYPES[item.numbers.dtype.name])
        identity = ("storage", kind, item.key, "cpu", item.claimed)
        return (*identity, None) if self.legacy else identity


def _pickle(value: Any, protocol: int, *, legacy: bool) -> tuple[bytes, dict[str, Storage]]:
    stream = io.BytesIO()
    pickler = _Pickler(stream, protocol, legacy=legacy)
    with patch.dict(sys.modules, STAND_INS):
        pickler.dump(value)
    return stream.getvalue(), pickler.storages


def zip_format(value: Any, *, protocol: int = 2, compression: int = zipfile.ZIP_STORED) -> bytes:
    """The bytes of torch.save(value, file)."""
    pickled, storages = _pickle(value, protocol, legacy=False)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", sys.byteorder)
        for key, storage in storages.items():
            archive.writestr(f"archive/data/{key}", storage.numbers.tobytes())
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def legacy_format(value: Any, *, protocol: int = 2) -> bytes:
    """The bytes of torch.save(value, file, _use_new_zipfile_serialization=False)."""
    pickled, storages = _pickle(value, protocol, legacy=True)
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    head = [pickle.dumps(part, protocol) for part in (LEGACY_MAGIC_NUMBER, 1001, system)]
    keys = pickle.dumps(sorted(storages), protocol)
    stored = (
        storage.claimed.to_bytes(8, "little") + storage.numbers.tobytes()
        for _, storage in sorted(storages.items())
    )
    return b"".join([*head, pickled, keys, *stored])
