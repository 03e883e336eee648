"""PyTorch checkpoints (`.pt`, `.pth`), read without PyTorch.

Two formats, both written by torch.save. Zip, the default since PyTorch 1.6: an uncompressed
archive with the pickle `*/data.pkl` and one member `*/data/KEY` for each storage. Legacy: the
pickles of a magic number, a protocol version, facts about the machine, the value itself and the
list of the storages' keys, then each storage as its length (int64) and its numbers.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from numpy.lib.stride_tricks import as_strided

from cnndsl.diagnostics import Diagnostic
from cnndsl.runtime.arrays import BROKEN_ZIP, broken_zip
from cnndsl.runtime.files import DamagedError
from cnndsl.weights.buffers import Array, Weights, decode, item_size
from cnndsl.weights.pickles import RefusedError, Storage, Tensor, Unpickled, unpickle

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
LEGACY_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
WRAPPERS = (
    "state_dict", "model_state_dict", "model",
    "state_dict_ema", "model_ema", "ema_state_dict", "ema",
)  # fmt: skip
"""Where checkpoints keep a state dict; the first that is there is taken."""
PREFIXES = ("module.", "_orig_mod.", "model.")
"""Put before every name by DataParallel and averaged models, torch.compile, and Lightning."""
AVERAGED = "n_averaged"
"""The counter of an averaged model, the only name without its prefix."""
LONGEST_TEXT = 1 << 28
"""Bytes that a pickle, or a text in it, may have; numbers stand outside of pickles."""
EXPANSION = 8
"""How often larger than the file its tensors may be: shared storages, 8-bit numbers."""


def read_zip(path: Path) -> Weights:
    """The state dict in a checkpoint of the zip format. Raises DamagedError and RefusedError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path.stat().st_size)
    except (DamagedError, RefusedError):
        raise
    except BROKEN_ZIP as error:
        raise broken_zip(error) from None


def _read_archive(archive: zipfile.ZipFile, file_size: int) -> Weights:
    members = archive.infolist()
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or sum(member.file_size for member in members) > file_size:
        raise DamagedError("it is a zip archive, but not as PyTorch writes them")
    if len({member.filename for member in members}) != len(members):
        raise DamagedError("it holds one name twice")
    pickles = [m.filename for m in members if m.filename.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise DamagedError("it is a zip archive without a PyTorch checkpoint")
    if archive.getinfo(pickles[0]).file_size > LONGEST_TEXT:
        raise DamagedError("its pickle is too long")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") == b"big":
        raise DamagedError("it was written on a big-endian machine")
    checkpoint = unpickle(io.BytesIO(archive.read(pickles[0])))

    def load(storage: Storage) -> bytes:
        return archive.read(f"{folder}data/{storage.key}")

    return _arrays(checkpoint, load, file_size)


def read_legacy(path: Path) -> Weights:
    """The state dict in a checkpoint of the legacy format. Raises DamagedError and RefusedError."""
    with path.open("rb") as file:
        size = path.stat().st_size
        return _read_stream(file, _Text(file, size), size)


def _read_stream(file: BinaryIO, text: _Text, file_size: int) -> Weights:
    if unpickle(text).value != LEGACY_MAGIC_NUMBER:
        raise DamagedError("it is a pickle, but not of PyTorch")
    if unpickle(text).value != LEGACY_PROTOCOL:
        raise DamagedError("it has an unknown version of PyTorch's legacy format")
    unpickle(text)  # facts about the machine; the numbers are always little-endian
    main = unpickle(text)
    keys = unpickle(text).value
    if not isinstance(keys, list) or keys != sorted(main.storages):
        raise DamagedError("its list of storages is broken")
    found = {}
    for storage in map(main.storages.__getitem__, keys):
        size = storage.elements * item_size(storage.dtype)
        said = int.from_bytes(file.read(8), "little")
        if said != storage.elements or size > file_size - file.tell():
            raise DamagedError(f"its storage {storage.key} is missing, or its length is wrong")
        found[storage.key] = file.read(size)
    return _arrays(main, lambda storage: found[storage.key], file_size)


class _Text:
    """A file that gives no more than it has, and nothing so long that it cannot be meant."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size

    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at the end of the file. Raises DamagedError for too many."""
        size = min(size, self._size - self._file.tell())
        if size > LONGEST_TEXT:
            raise DamagedError("its pickle is too long")
        return self._file.read(size)

    def readline(self) -> bytes:
        """The rest of a line, if that is not too long."""
        return self._file.readline(LONGEST_TEXT)


def _state_dict(checkpoint: Unpickled) -> tuple[dict[str, Tensor], tuple[Diagnostic, ...]]:
    """The named tensors of a checkpoint, which may hold them beside other things, and remarks."""
    value, warnings = checkpoint.value, []
    for _ in WRAPPERS:
        found = [name for name in WRAPPERS if isinstance(value, dict) and _has_tensors(value, name)]
        found = found or _own_names(value)
        if not found:
            break
        if len(found) > 1:
            warnings.append(_choice(found))
        value = value[found[0]]
    items = value.items() if isinstance(value, dict) else ()
    tensors = {key: item for key, item in items if isinstance(item, Tensor)}
    if not tensors or not all(isinstance(key, str) for key in tensors):
        raise DamagedError("it holds no state dict, that is, tensors by name")
    return _without_prefixes(tensors), tuple(warnings)


def _own_names(value: Any) -> list[str]:
    """The one entry with tensors, whatever its name, of what has none itself.

    Raises DamagedError if there are several: nothing tells which is meant.
    """
    if not isinstance(value, dict) or any(isinstance(item, Tensor) for item in value.values()):
        return []
    found = [name for name, item in value.items() if _holds_tensors(item)]
    if len(found) > 1:
        names = " and ".join(map(repr, found))
        raise DamagedError(f"it holds tensors under {names}; save alone what is meant")
    return found


def _holds_tensors(value: Any) -> bool:
    """Whether tensors are under names, also of names; those of an optimiser are under numbers."""
    waiting, seen = [value], set()
    for item in waiting:  # which grows
        if isinstance(item, Tensor):
            return True
        if isinstance(item, dict) and id(item) not in seen:
            seen.add(id(item))
            waiting += [inner for name, inner in item.items() if isinstance(name, str)]
    return False


def _has_tensors(value: Mapping[str, Any], name: str) -> bool:
    inner = value.get(name)
    return isinstance(inner, dict) and any(
        isinstance(item, Tensor) or (key in WRAPPERS and isinstance(item, dict))
        for key, item in inner.items()
    )


def _choice(found: Sequence[str]) -> Diagnostic:
    others = " and ".join(map(repr, found[1:]))
    return Diagnostic(
        "W0207",
        f"the checkpoint keeps weights under {found[0]!r}, which are taken, and {others}",
        hint=f"to use others, save them alone: torch.save(checkpoint[{found[1]!r}], FILE)",
    )


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under their names in the model inside all wrappers."""
    while True:
        names = [name for name in tensors if name != AVERAGED]
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in names)), None)
        if prefix is None or not names:
            return tensors
        tensors = {name.removeprefix(prefix): tensors[name] for name in names}


def _arrays(checkpoint: Unpickled, load: Callable[[Storage], bytes], file_size: int) -> Weights:
    """The state dict of a checkpoint: views of the storages, copied where not contiguous.

    Each storage is decoded once. Raises DamagedError if a tensor reads outside its storage, or
    the tensors together are so much larger than the file that nobody can have meant it.
    """
    tensors, warnings = _state_dict(checkpoint)
    room = max(1 << 20, EXPANSION * file_size)
    storages: dict[str, Array] = {}
    arrays = Weights()
    arrays.warnings = warnings
    for name, tensor in tensors.items():
        storage = tensor.storage
        if storage.key not in storages:
            try:
                storages[storage.key] = decode(load(storage), storage.dtype, storage.elements)
            except ValueError:
                raise DamagedError(f"the numbers of {name!r} are incomplete") from None
        numbers = storages[storage.key]
        room -= math.prod(tensor.shape) * numbers.itemsize
        if room < 0:
            raise DamagedError(f"{name!r} is larger than the whole file")
        if not _inside(tensor):
            raise DamagedError(f"{name!r} reaches beyond its storage")
        strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
        view = as_strided(numbers[tensor.offset :], tensor.shape, strides)
        arrays[name] = view.astype(view.dtype, order="C", copy=False)
    return arrays


def _inside(tensor: Tensor) -> bool:
    """Whether the tensor's last number, if it has any, lies in its storage."""
    axes = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in axes)
    return 0 in tensor.shape or last < tensor.storage.elements
