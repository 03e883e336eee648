"""Arrays in .npy and .npz files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import atomic_write
from cnndsl.runtime.module import Array

LARGEST_ARCHIVE = 2**33
"""Bytes that the arrays of an .npz may have when unpacked: a small archive can claim any size."""


def read_arrays(path: Path) -> dict[str | None, Array]:
    """The arrays of an .npz by name, or that of an .npy under None. Pickles are refused.

    Raises CnnError E0601 if there is no such file, E0608 if it is damaged or holds no numbers.
    """
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        return {None: np.array(np.lib.format.open_memmap(path, mode="r"))}
    except CnnError:
        raise
    except FileNotFoundError:
        raise CnnError.of("E0601", f"no file {path}") from None
    except Exception as error:  # on damaged headers numpy raises anything at all
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            reason = "it holds Python objects, which are refused"
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = "it is damaged, or not an .npy or .npz file"
        raise CnnError.of("E0608", f"cannot read {path}: {reason}") from None


def _read_archive(path: Path) -> dict[str | None, Array]:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST_ARCHIVE:
            raise CnnError.of("E0608", f"{path} unpacks to more than {LARGEST_ARCHIVE:,} bytes")
    with np.load(path, allow_pickle=False) as arrays:
        loaded = {name: arrays[name] for name in arrays.files}
    if not all(isinstance(array, np.ndarray) for array in loaded.values()):
        raise CnnError.of("E0608", f"{path} holds files that are not arrays")
    return dict(loaded)


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
