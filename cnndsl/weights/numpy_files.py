"""Archives of numpy arrays (`.npz`), as `numpy.savez` and `numpy.savez_compressed` write them."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from cnndsl.weights.buffers import Array
from cnndsl.weights.pickles import DamagedError

SUFFIX = ".npy"
EXPANSION = 8
"""How often larger than the file its arrays may be, beside the first MiB."""


def is_archive(path: Path) -> bool:
    """Whether a zip archive holds arrays of numpy, by the name of its first member."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()[:1] != [] and archive.namelist()[0].endswith(SUFFIX)
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OSError):
        return False


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays by name, in the order of the archive. Raises DamagedError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(m.file_size for m in members) > EXPANSION * path.stat().st_size + (1 << 20):
                raise DamagedError("its arrays are far larger than the file")
            return {m.filename.removesuffix(SUFFIX): _array(archive.read(m)) for m in members}
    except (zipfile.BadZipFile, EOFError, LookupError, RuntimeError, ValueError) as error:
        raise DamagedError(f"its zip archive is broken ({error})") from None


def _array(content: bytes) -> Array:
    """The array of an `.npy` file; only numbers are read. Raises ValueError."""
    stream = io.BytesIO(content)
    major, _ = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    if dtype.hasobject or dtype.kind not in "fiub":
        raise ValueError(f"an array of {dtype}")
    if any(size < 0 for size in shape):
        raise ValueError("an array of negative size")
    numbers = np.frombuffer(content, dtype, math.prod(shape), stream.tell())
    array = numbers.reshape(shape, order="F" if columns_first else "C")
    return array.astype(np.float32) if dtype.itemsize == 2 and dtype.kind == "f" else array
