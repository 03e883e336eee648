"""Weight files: safetensors in and out; PyTorch checkpoints, archives of numpy and Keras in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from cnndsl.diagnostics import CnnError
from cnndsl.ir.types import FLOAT32
from cnndsl.runtime.archive import once_each
from cnndsl.runtime.arrays import is_npz, read_npz
from cnndsl.runtime.files import DamagedError, atomic_write
from cnndsl.weights import keras_files, torch_files
from cnndsl.weights.buffers import Array, Weights, decode, item_size, widened
from cnndsl.weights.pickles import RefusedError

SAFETENSORS_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}

SUFFIXES = (".safetensors", ".npz", ".pt", ".pth", ".keras", ".h5")
"""Of the names of weight files."""
MAX_FILE_BYTES = 1 << 34
MAX_NAME = 1000


def load_weights(path: str | PathLike[str]) -> Weights:
    """The arrays of a weight file by name, in its order; safetensors has none, they are sorted.

    The content tells the format, not the file's name: safetensors, an archive of numpy arrays
    (`.npz`), a model or weights of Keras (`.keras`, `.h5`; with h5py), or a PyTorch checkpoint (zip
    or legacy format). A PyTorch checkpoint may keep its state dict under one of the names
    `torch_files.WRAPPERS`; the warnings of the result tell if there are several (W0207); or under
    another name if it is the only one. The prefixes `torch_files.PREFIXES` are removed.
    Floats of under 32 bits become float32, all other numbers keep their dtype.

    Raises CnnError: E0601 if the file cannot be read, E0401 if it is damaged or no weight file,
    E0403 if its pickle names anything but tensors, E0418 for a file of Keras without h5py.
    """
    path = Path(path)
    try:
        arrays = _load(path)
        if not all(name.isprintable() and len(name) <= MAX_NAME for name in arrays):
            raise DamagedError("one of its names is too long or not printable")
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror or error}") from None
    except RefusedError as error:
        raise CnnError.of(
            "E0403",
            f"{path} needs {error.name[:80]!r}, and only tensors are read from a pickle",
            hint="save the tensors alone: torch.save(model.state_dict(), FILE)",
        ) from None
    except DamagedError as error:
        raise CnnError.of(
            "E0401",
            f"cannot read weights from {path}: {error}",
            hint="weights come as safetensors, PyTorch state dicts (.pt, .pth), .npz, .keras, .h5",
        ) from None
    return arrays


def _load(path: Path) -> Weights:
    if not path.exists():
        raise FileNotFoundError(0, "it does not exist")
    if not path.is_file():
        raise DamagedError("it is not a file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DamagedError(f"it has more than {MAX_FILE_BYTES >> 30} GiB")
    with path.open("rb") as file:
        head = file.read(16)
    if head[8:9] == b"{":
        return Weights(_read_safetensors(path))
    if head.startswith(keras_files.HDF5_MAGIC):
        return keras_files.read_h5(path)
    if head.startswith(torch_files.ZIP_MAGIC):
        if keras_files.is_keras_zip(path):
            return keras_files.read_keras(path)
        if is_npz(path):
            return Weights((name, widened(array)) for name, array in read_npz(path).items())
        return torch_files.read_zip(path)
    if head.startswith(torch_files.PICKLE_MAGIC):
        return torch_files.read_legacy(path)
    raise DamagedError("it is empty" if not head else "its format is unknown")


def _read_safetensors(path: Path) -> dict[str, Array]:
    """The arrays of a file whose header the library finds in order before anything is read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length), object_pairs_hook=once_each)
            header.pop("__metadata__", None)
            return {name: _numbers(file, name, header[name], 8 + length) for name in sorted(header)}
    except (SafetensorError, ValueError) as error:
        raise DamagedError(str(error)) from None


def _numbers(file: BinaryIO, name: str, entry: Mapping[str, Any], origin: int) -> Array:
    """An array of a safetensors file whose numbers start at `origin`."""
    if entry["dtype"] not in SAFETENSORS_DTYPES:
        raise DamagedError(f"{name!r} has the dtype {entry['dtype']}")
    dtype, shape = SAFETENSORS_DTYPES[entry["dtype"]], entry["shape"]
    elements, (start, end) = math.prod(shape), entry["data_offsets"]
    file.seek(origin + start)
    try:
        if end - start != elements * item_size(dtype):
            raise ValueError
        return decode(file.read(end - start), dtype, elements).reshape(shape)
    except ValueError:
        raise DamagedError(f"{name!r} has an impossible shape") from None


def save_safetensors(
    path: str | Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays as float32, sorted by name, atomically; the same input gives the same bytes.

    The library's own writer puts the metadata in a random order. Format: length of the header
    (8 bytes, little-endian), the header as JSON padded to 8 bytes, the numbers.
    Raises CnnError (E0602) if the file cannot be written.
    """
    header: dict[str, object] = {}
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    end = 0
    for name, array in sorted(arrays.items()):
        start, end = end, end + FLOAT32.bytes * array.size
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in sorted(arrays.items()):
            file.write(array.astype("<f4", copy=False).tobytes())
