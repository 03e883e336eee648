"""Files of Keras that are made to cost memory or time are refused before anything reads them."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from cnndsl.diagnostics import CnnError
from cnndsl.weights.files import load_weights

MAGIC = b"\x89HDF\r\n\x1a\n"


@pytest.mark.parametrize("large", ["model.weights.h5", "config.json"])
def test_an_archive_that_is_far_larger_unpacked(tmp_path: Path, large: str) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("model.weights.h5", "config.json"):
            archive.writestr(name, bytes(1 << 24) if name == large else MAGIC)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(CnnError, match="far larger than the file"):
        load_weights(path)


def test_heaps_inside_heaps(tmp_path: Path) -> None:
    """Each object of the first collection is the head of one that reaches to the end as well."""
    count = 4000

    def head(objects: int) -> bytes:
        return b"GCOL\x01\0\0\0" + struct.pack("<Q", 32 * objects + 16)

    inside = (struct.pack("<H6xQ", 1, 16) + head(k) for k in reversed(range(count)))
    path = tmp_path / "bomb.h5"
    path.write_bytes(MAGIC + bytes(8) + head(count) + b"".join(inside))
    with pytest.raises(CnnError, match="heaps overlap"):
        load_weights(path)
