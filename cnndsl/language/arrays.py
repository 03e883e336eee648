"""Numbers from files that lie beside a text."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.language.units import Unit

LARGEST = 2**16
"""Numbers of a file; more are weights, which have files of their own."""
HEADER = 10_000
"""Bytes of a header at most."""


def load_numbers(unit: Unit, name: Any) -> Any:
    """The numbers of an .npy file beside the file of a unit, in nested lists.

    The unit remembers what the file holds. Raises TypeError unless the name is a text, CnnError
    E0601 if the file cannot be read, E0608 if it holds no finite numbers, or too many.
    """
    if not isinstance(name, str):
        raise TypeError
    path = Path(name)
    if unit.source.name != "<text>":
        path = Path(unit.source.name).parent / name
    try:
        if not path.is_file():
            raise CnnError.of("E0601", f"cannot read {path}: there is no such file")
        with path.open("rb") as file:
            content = file.read(HEADER + 8 * LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CnnError.of("E0601", f"cannot read {path}: {reason}") from None
    unit.data[name] = hashlib.sha256(content).hexdigest()
    return _numbers(path, content)


def _numbers(path: Path, content: bytes) -> Any:
    import io

    import numpy as np
    from numpy.lib import format as npy

    file = io.BytesIO(content)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file, max_header_size=HEADER)
        if dtype.kind not in "fiub":
            raise ValueError(f"it holds {dtype}, not numbers")
        if not 1 <= math.prod(shape) <= LARGEST:
            raise ValueError(f"it holds {math.prod(shape):,} numbers, of {LARGEST:,} at most")
        file.seek(0)
        array = np.load(file, allow_pickle=False).astype(np.float64)
        if not np.isfinite(array).all():
            raise ValueError("not all of its numbers are finite")
    except (ValueError, TypeError, EOFError, OSError) as error:
        message = f"cannot read {path}: {error}"
        raise CnnError.of("E0608", message, hint="np.save(file, array) writes such files") from None
    return array.tolist()
