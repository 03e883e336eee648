"""A pickle machine that builds nothing but tensors, containers, numbers and text.

PyTorch checkpoints are pickles, and a pickle is a program: Python's own machine calls whatever
the file names. This one executes only the instructions that checkpoints need (as listed by
`pickletools`), calls only the functions in its table, and stops after a bounded number of steps.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar, cast

from cnndsl.runtime.files import DamagedError

T = TypeVar("T")

MAX_STEPS = 2_000_000
"""Instructions, and items that they copy. About 40 are needed for each tensor."""

MAX_AXES = 16


class RefusedError(ValueError):
    """The pickle names a class or function that is not needed for tensors."""

    def __init__(self, name: str):
        self.name = name
        super().__init__(name)


@dataclass(frozen=True)
class Storage:
    """A run of numbers kept outside the pickle: its key there, its dtype and its length."""

    key: str
    dtype: str
    elements: int


@dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Unpickled:
    """A pickle's value, and by key all storages that it mentions."""

    value: Any
    storages: dict[str, Storage]


@dataclass(frozen=True)
class _StorageType:
    dtype: str


class Readable(Protocol):
    """What a pickle is read from."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at the end."""

    def readline(self) -> bytes:
        """All up to the end of a line."""


def unpickle(stream: Readable) -> Unpickled:
    """Run the pickle that starts here; the stream is left right behind it.

    Dicts of every kind become dicts, tensors become `Tensor`. Raises DamagedError and RefusedError.
    """
    machine = _Machine()
    try:
        with warnings.catch_warnings(action="ignore"):
            for opcode, argument, _ in pickletools.genops(cast(IO[bytes], stream)):
                machine.spend(1)
                machine.step(opcode.name, argument)
        return Unpickled(machine.stack[-1], machine.storages)
    except (RefusedError, DamagedError):
        raise
    except (ValueError, TypeError, LookupError, OverflowError):
        raise DamagedError("its pickle is broken") from None


class _Machine:
    """The stack of values, the marks in it, and the memo of values that are used again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.steps_left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Raise DamagedError once the pickle has taken more steps than any checkpoint needs."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise DamagedError("its pickle is too long")

    def step(self, name: str, argument: Any) -> None:
        """Execute one instruction, named as in `pickletools`."""
        stack = self.stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _ if name in LITERALS:
                stack.append(argument)
            case _ if name in VALUES:
                stack.append(VALUES[name]())
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE" | "LIST":
                stack.append((tuple if name == "TUPLE" else list)(self._pop_marked()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(int(name[-1]))))
            case "DICT":
                stack.append(_dict(_pairs(self._pop_marked())))
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                stack.append(self.memo[argument])
            case "APPEND" | "APPENDS":
                items = self._pop(1) if name == "APPEND" else self._pop_marked()
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self._pop(2) if name == "SETITEM" else self._pop_marked()
                _expect(stack[-1], dict).update(_dict(_pairs(items)))
            case "GLOBAL":
                stack.append(_known(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                stack.append(_known(".".join(self._pop(2))))
            case "REDUCE" | "NEWOBJ":
                stack.append(self._call(*self._pop(2)))
            case "BUILD":
                self._pop(1)  # attributes that PyTorch hangs on a state dict
                _expect(stack[-1], dict)
            case "BINPERSID":
                stack.append(self._known_storage(*self._pop(1)))
            case _:
                raise DamagedError(f"its pickle holds the instruction {name}")

    def _call(self, function: Any, arguments: Any) -> Any:
        self.spend(sum(len(a) for a in arguments if isinstance(a, Sized)))
        return function(*_expect(arguments, tuple))

    def _known_storage(self, description: Any) -> Storage:
        storage = _storage(*_expect(description, tuple))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise DamagedError("two of its storages have the same key")
        return storage

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _pop_marked(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
BYTES = ("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
TEXTS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
LITERALS = frozenset({*NUMBERS, *BYTES, *TEXTS})
"""Instructions that put their own argument on the stack."""

VALUES: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
"""Instructions that put a fixed value on the stack."""


def _expect(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _size(value: Any) -> int:
    if not 0 <= _expect(value, int) < 2**48:
        raise ValueError
    return int(value)


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items[::2], items[1::2], strict=True))


def _dict(pairs: Any = ()) -> dict[Any, Any]:
    """Keys are text or 64-bit numbers, whose hashes nobody can make collide in masses."""
    result = {}
    for key, value in pairs:
        if not isinstance(key, str) and not -(2**63) <= _expect(key, int) < 2**63:
            raise ValueError
        result[key] = value
    return result


def _storage(
    tag: str, kind: _StorageType, key: str, device: str, elements: int, view: None = None
) -> Storage:
    """torch.save: ("storage", type, key, device, length), and in the legacy format a view."""
    if tag != "storage" or view is not None:
        raise DamagedError("it holds a kind of storage that PyTorch no longer writes")
    return Storage(_expect(key, str), _expect(kind, _StorageType).dtype, _size(elements))


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v2; what follows the strides concerns training only."""
    sizes = tuple(map(_size, _expect(shape, tuple)))
    steps = tuple(map(_size, _expect(strides, tuple)))
    if len(sizes) != len(steps) or len(sizes) > MAX_AXES:
        raise ValueError
    return Tensor(_expect(storage, Storage), _size(offset), sizes, steps)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return _expect(data, Tensor)


def _known(name: str) -> Any:
    if name not in KNOWN:
        raise RefusedError(name)
    return KNOWN[name]


KNOWN: Mapping[str, Any] = {
    "collections.OrderedDict": _dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": tuple,
    "torch.device": lambda *_: None,
    "torch.DoubleStorage": _StorageType("float64"),
    "torch.FloatStorage": _StorageType("float32"),
    "torch.HalfStorage": _StorageType("float16"),
    "torch.BFloat16Storage": _StorageType("bfloat16"),
    "torch.LongStorage": _StorageType("int64"),
    "torch.IntStorage": _StorageType("int32"),
    "torch.ShortStorage": _StorageType("int16"),
    "torch.CharStorage": _StorageType("int8"),
    "torch.ByteStorage": _StorageType("uint8"),
    "torch.BoolStorage": _StorageType("bool"),
}
"""All that a pickle may name: functions that it may call, and the types of storages."""
