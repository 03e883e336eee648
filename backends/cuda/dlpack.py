"""Tensors of other libraries on the GPU, in and out, without a copy.

Source: DLPack 0.8, dlpack.h, and the Python specification of the array API.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from ctypes import (
    POINTER,
    c_char_p,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint64,
    c_void_p,
    py_object,
)
from dataclasses import dataclass
from typing import Any

from cnndsl.diagnostics import CnnError

FIRST_GPU = (2, 0)
"""The type of DLPack's CUDA devices, and the number of the one that modules run on."""
FLOAT32 = (2, 32, 1)
"""Code, bits and lanes of a number type."""
FRESH = b"dltensor"
"""The name of a capsule that nobody has taken yet."""


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", c_void_p),
        ("device", c_int32 * 2),
        ("axes", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("offset", c_uint64),
    )


_DELETER = ctypes.CFUNCTYPE(None, c_void_p)
_DESTRUCTOR = ctypes.PYFUNCTYPE(None, c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", c_void_p), ("deleter", _DELETER))


_get_pointer = ctypes.PYFUNCTYPE(c_void_p, py_object, c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_dying_pointer = ctypes.PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, c_void_p, c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_new_capsule = ctypes.PYFUNCTYPE(py_object, c_void_p, c_char_p, _DESTRUCTOR)(
    ("PyCapsule_New", ctypes.pythonapi)
)

_lent: dict[int, tuple[Any, ...]] = {}
"""What must live as long as a tensor that another library has, by the tensor's address."""


def is_on_gpu(array: Any) -> bool:
    """Whether an object offers a tensor on a GPU."""
    device = getattr(array, "__dlpack_device__", None)
    return device is not None and int(device()[0]) == FIRST_GPU[0]


@dataclass(frozen=True)
class View:
    """Dense float32 numbers of another library; valid while `owner` lives."""

    address: int
    shape: tuple[int, ...]
    owner: Any


def view(name: str, array: Any, stream: int) -> View:
    """The tensor of an object, ready when `stream` comes to it.

    Raises CnnError (E0604) unless it is dense float32 on the first GPU.
    """
    if tuple(array.__dlpack_device__()) != FIRST_GPU:
        raise CnnError.of("E0604", f"input {name!r} is not on the first GPU")
    capsule = array.__dlpack__(stream=stream)
    tensor = ctypes.cast(_get_pointer(capsule, FRESH), POINTER(_Managed)).contents.tensor
    shape = tuple(tensor.shape[axis] for axis in range(tensor.axes))
    if (tensor.code, tensor.bits, tensor.lanes) != FLOAT32:
        raise CnnError.of("E0604", f"input {name!r} is not float32")
    dense = 1
    for axis in reversed(range(tensor.axes)):
        if tensor.strides and shape[axis] > 1 and tensor.strides[axis] != dense:
            raise CnnError.of(
                "E0604", f"input {name!r} is not dense", hint="make it contiguous first"
            )
        dense *= shape[axis]
    return View((tensor.data or 0) + tensor.offset, shape, capsule)


class DeviceArray:
    """Dense float32 numbers on the GPU, for `from_dlpack` of any library.

    The memory is given back by `free` when neither this object nor a library needs it.
    """

    def __init__(self, address: int, shape: tuple[int, ...], free: Callable[[int], None]):
        self.address = address
        self.shape = shape
        weakref.finalize(self, free, address)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The first GPU."""
        return FIRST_GPU

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> Any:
        """A capsule with the tensor, whose numbers are there: any stream may read it."""
        managed = _Managed()
        shape = (c_int64 * len(self.shape))(*self.shape)
        tensor = managed.tensor
        tensor.data, tensor.axes = self.address, len(self.shape)
        tensor.device[:] = self.__dlpack_device__()
        tensor.code, tensor.bits, tensor.lanes = FLOAT32
        tensor.shape = ctypes.cast(shape, POINTER(c_int64))
        managed.deleter = _release
        address = ctypes.addressof(managed)
        _lent[address] = (self, managed, shape)
        return _new_capsule(address, FRESH, _destroy)


def _drop(address: int) -> None:
    _lent.pop(address, None)


def _drop_fresh(capsule: int) -> None:
    """Let go of a tensor that no library has taken."""
    if _is_valid(capsule, FRESH):
        _lent.pop(_dying_pointer(capsule, FRESH), None)


_release = _DELETER(_drop)
_destroy = _DESTRUCTOR(_drop_fresh)
