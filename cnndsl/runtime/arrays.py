"""Arrays in .npy and .npz files. Nothing is read or unpacked before its header is judged."""

from __future__ import annotations

import io
import lzma
import math
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import DamagedError, atomic_write
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import ENDINGS

SUFFIX = ".npy"
ZIP_MAGIC = b"PK"
EXPANSION = 8
"""How often larger than the file the arrays of an .npz may be, beside a free amount."""
FREE = 1 << 20
FREE_INPUTS = 1 << 30
"""Bytes that may be unpacked whatever the size of the file: masks of zeros compress well."""
HEADER = 12 + 10_000
"""Bytes that hold any header of an .npy that numpy reads."""
CHUNK = 1 << 20

BROKEN_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    LookupError,
    RuntimeError,
    ValueError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
"""What damaged archives make of `zipfile`."""


def read_arrays(path: Path) -> dict[str | None, Array]:
    """The arrays of an .npz by name, or that of an .npy under None. Pickles are refused.

    Raises CnnError E0601 if there is no such file, E0608 if it is damaged or holds no numbers.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DamagedError("it is not a file")
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
            file.seek(0)
            if is_zip:
                found: dict[str | None, Array] = {}
                found.update(read_npz(path, FREE_INPUTS))
                return found
            return {None: read_npy(file, os.fstat(file.fileno()).st_size)}
    except FileNotFoundError:
        raise CnnError.of("E0601", f"no file {path}") from None
    except OSError as error:
        problem = error.strerror or str(error)
    except DamagedError as error:
        problem = str(error)
    is_photo = path.suffix.lower() in ENDINGS
    hint = "photos come by --image, folders of them by --images" if is_photo else None
    hint = hint or "arrays come as .npy or .npz"
    raise CnnError.of("E0608", f"cannot read {path}: {problem}", hint=hint)


def is_npz(path: Path) -> bool:
    """Whether a zip archive holds arrays of numpy, by the name of its first member."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()[:1] != [] and archive.namelist()[0].endswith(SUFFIX)
    except BROKEN_ZIP:
        return False


def read_npz(path: Path, free: int = FREE) -> dict[str, Array]:
    """The arrays by name, in the order of the archive; see `read_npy`.

    Raises DamagedError, also if they are EXPANSION times larger than the file and take more than
    `free` bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(m.file_size for m in members) > EXPANSION * path.stat().st_size + free:
                raise DamagedError("its arrays are far larger than the file")
            found: dict[str, Array] = {}
            for member in members:
                name = member.filename.removesuffix(SUFFIX)
                if name == member.filename or name in found:
                    raise DamagedError("it holds files that are not arrays, or one name twice")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise DamagedError("it is compressed in another way than numpy does")
                with archive.open(member) as file:
                    found[name] = read_npy(file, member.file_size)
            return found
    except DamagedError:
        raise
    except BROKEN_ZIP as error:
        raise broken_zip(error) from None


def broken_zip(error: BaseException) -> DamagedError:
    """What is said of an archive; errors may quote a good part of it."""
    return DamagedError(f"its zip archive is broken ({str(error)[:100]})")


def read_npy(file: IO[bytes], size: int) -> Array:
    """The array in an `.npy` file of so many bytes; only numbers are read.

    Raises DamagedError if it holds something else, or another amount than its header says.
    """
    head = file.read(HEADER)
    shape, columns_first, dtype, start = _header(head)
    if dtype.hasobject:
        raise DamagedError("it holds an array of Python objects, which are refused")
    if dtype.kind not in "fiub":
        raise DamagedError(f"it holds an array of {dtype}, not of numbers")
    elements = math.prod(shape)
    if elements * dtype.itemsize != size - start:
        raise DamagedError("an array of it is not as large as its header says")
    numbers = np.empty(elements, dtype)
    place = numbers.view(np.uint8).data
    filled = min(len(head) - start, len(place))
    place[:filled] = head[start:]
    while filled < len(place):
        part = file.read(min(CHUNK, len(place) - filled))
        if not part:
            raise DamagedError("it is cut off")
        place[filled : filled + len(part)] = part
        filled += len(part)
    if file.read(1):  # at the end of a member its checksum is verified
        raise DamagedError("an array of it is larger than its header says")
    return numbers.reshape(shape, order="F" if columns_first else "C")


def _header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether columns come first, dtype, and where the numbers start."""
    stream = io.BytesIO(head)
    try:
        with warnings.catch_warnings(action="ignore"):
            major, _ = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
            shape, columns_first, dtype = read(stream)
    except Exception:  # numpy evaluates a Python literal, which can fail in any way
        raise DamagedError("it has no header of numpy's, or a damaged one") from None
    if len(shape) > 32 or not all(type(axis) is int and 0 <= axis < 2**48 for axis in shape):
        raise DamagedError("an array of it has an impossible shape")
    return shape, columns_first, dtype, stream.tell()


def write_array(path: Path, array: Array) -> None:
    """Write one array as .npy, atomically."""
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays as .npz, atomically; the same arrays give the same bytes."""
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
