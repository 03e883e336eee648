"""Writes what torch.save writes, in both formats, with the standard pickle module alone.

The classes that a checkpoint names do not exist here, so pickle meets stand-ins for them that
claim the real modules and names.
"""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

STORAGE_TYPES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
LEGACY_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


class Storage:
    """A flat array; tensors that share it share its numbers."""

    def __init__(self, numbers: np.ndarray, key: str):
        self.numbers = numbers
        self.key = key
        self.claimed_elements = numbers.size


class Tensor:
    """A view with offset and strides in numbers, whatever they are."""

    def __init__(self, storage: Storage, shape: tuple, strides: tuple, offset: int = 0):
        self.storage = storage
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple:
        return named("torch._utils", "_rebuild_tensor_v2"), self.arguments


class Parameter:
    """torch.nn.Parameter around a tensor."""

    def __init__(self, data: Tensor):
        self.data = data

    def __reduce__(self) -> tuple:
        return named("torch._utils", "_rebuild_parameter"), (self.data, True, OrderedDict())


def tensor(array: Any, key: str) -> Tensor:
    """A contiguous tensor with its own storage."""
    array = np.asarray(array)
    strides = tuple(stride // array.itemsize for stride in np.ascontiguousarray(array).strides)
    return Tensor(Storage(array.reshape(-1), key), array.shape, strides[: array.ndim])


def named(module: str, name: str) -> Any:
    """A callable that pickles as the global `module.name`."""

    def stand_in(*_: Any) -> None: ...

    stand_in.__module__, stand_in.__qualname__, stand_in.__name__ = module, name, name
    return stand_in


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, legacy: bool):
        super().__init__(stream, protocol=2)
        self.legacy = legacy
        self.storages: dict[str, Storage] = {}

    def persistent_id(self, item: Any) -> Any:
        if not isinstance(item, Storage):
            return None
        self.storages[item.key] = item
        kind = named("torch", STORAGE_TYPES[item.numbers.dtype.name])
        identity = ("storage", kind, item.key, "cpu", item.claimed_elements)
        return (*identity, None) if self.legacy else identity


@contextmanager
def _modules() -> Iterator[None]:
    """Modules in which pickle finds the stand-ins, as it insists on looking them up."""
    present = dict(sys.modules)

    class Anything(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

    try:
        yield
    finally:
        sys.modules.clear()
        sys.modules.update(present)
    del Anything
