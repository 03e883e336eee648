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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from numpy.lib.stride_tricks import as_strided

from cnndsl.runtime.arrays import BROKEN_ZIP
from cnndsl.runtime.files import DamagedError
from cnndsl.weights.buffers import Array, decode, item_size
from cnndsl.weights.pickles import RefusedError, Storage, Tensor, Unpickled, unpickle

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
LEGACY_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")
"""Put before every name by DataParallel and by torch.compile."""
LONGEST_TEXT = 1 << 28
"""Bytes that a pickle, or a text in it, may have; numbers stand outside of pickles."""
EXPANSION = 8
"""How often larger than the file its tensors may be: shared storages, 8-bit numbers."""


def read_zip(path: Path) -> dict[str, Array]:
    """The state dict in a checkpoint of the zip format. Raises DamagedError and RefusedError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path.stat().st_size)
    except (DamagedError, RefusedError):
        raise
    except BROKEN_ZIP as error:
        raise DamagedError(f"its zip archive is broken ({error})") from None


def _read_archive(archive: zipfile.ZipFile, file_size: int) -> dict[str, Array]:
    members = archive.infolist()
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or sum(member.file_size for member in members) > file_size:
        raise DamagedError("it is a zip archive, but not as PyTorch writes them")
    pickles = [m.filename for m in members if m.filename.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise DamagedError("it is a zip archive without a PyTorch checkpoint")
    if archive.getinfo(pickles[0]).file_size > LONGEST_TEXT:
        raise DamagedError("its pickle is too long")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") == b"big":
        raise DamagedError("it was written on a big-endian machine")
    tensors = _state_dict(unpickle(io.BytesIO(archive.read(pickles[0]))))

    def load(storage: Storage) -> bytes:
        return archive.read(f"{folder}data/{storage.key}")

    return _arrays(tensors, load, file_size)


def read_legacy(path: Path) -> dict[str, Array]:
    """The state dict in a checkpoint of the legacy format. Raises DamagedError and RefusedError."""
    with path.open("rb") as file:
        size = path.stat().st_size
        return _read_stream(file, _Text(file, size), size)


def _read_stream(file: BinaryIO, text: _Text, file_size: int) -> dict[str, Array]:
    if unpickle(text).value != LEGACY_MAGIC_NUMBER:
        raise DamagedError("it is a pickle, but not of PyTorch")
    if unpickle(text).value != LEGACY_PROTOCOL:
        raise DamagedError("it has an unknown version of PyTorch's legacy format")
    unpickle(text)  # facts about the machine; the numbers are always little-endian
    main = unpickle(text)
    tensors = _state_dict(main)
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
    return _arrays(tensors, lambda storage: found[storage.key], file_size)


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


def _state_dict(checkpoint: Unpickled) -> dict[str, Tensor]:
    """The named tensors of a checkpoint, which may hold them beside other things."""
    value = checkpoint.value
    for wrapper in WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
    items = value.items() if isinstance(value, dict) else ()
    tensors = {key: item for key, item in items if isinstance(item, Tensor)}
    if not tensors or not all(isinstance(key, str) for key in tensors):
        raise DamagedError("it holds no state dict, that is, tensors by name")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _arrays(
    tensors: Mapping[str, Tensor], load: Callable[[Storage], bytes], file_size: int
) -> dict[str, Array]:
    """Views of the storages, copied where they are not contiguous.

    Each storage is decoded once. Raises DamagedError if a tensor reads outside its storage, or
    the tensors together are so much larger than the file that nobody can have meant it.
    """
    room = max(1 << 20, EXPANSION * file_size)
    storages: dict[str, Array] = {}
    arrays = {}
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
