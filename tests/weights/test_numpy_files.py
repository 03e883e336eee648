"""Archives of numpy arrays: read in order, and refused if they are not what they say."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from cnndsl.diagnostics import CnnError
from cnndsl.weights.files import load_weights


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_in_the_order_of_the_file(tmp_path, save):
    arrays = {
        "z/kernel:0": np.arange(6.0).reshape(2, 3),
        "a": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
        "scalar": np.array(2.5),
        "half": np.array([0.5, 2], np.float16),
    }
    save(tmp_path / "w.npz", **arrays)
    read = load_weights(tmp_path / "w.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    assert read["half"].dtype == np.float32


def archive(path, **members: bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def npy(array, allow_pickle=False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def test_objects_are_not_unpickled(tmp_path):
    archive(tmp_path / "w.npz", a=npy(np.array([print], dtype=object), allow_pickle=True))
    with pytest.raises(CnnError, match="array of object") as caught:
        load_weights(tmp_path / "w.npz")
    assert caught.value.diagnostics[0].code == "E0401"


def test_a_header_cannot_ask_for_memory(tmp_path):
    huge = npy(np.ones(3)).replace(b"(3,)", b"(9000000000000,)".ljust(4))
    archive(tmp_path / "w.npz", a=huge)
    with pytest.raises(CnnError, match="E0401"):
        load_weights(tmp_path / "w.npz")


def test_a_small_file_cannot_hold_large_arrays(tmp_path):
    archive(tmp_path / "w.npz", a=npy(np.zeros(1 << 20)))
    with pytest.raises(CnnError, match="far larger than the file"):
        load_weights(tmp_path / "w.npz")


@pytest.mark.parametrize("cut", [30, 60, 100, 200])
def test_damaged_archives(tmp_path, cut):
    archive(tmp_path / "w.npz", a=npy(np.arange(50.0)), b=npy(np.arange(50.0)))
    content = (tmp_path / "w.npz").read_bytes()
    (tmp_path / "w.npz").write_bytes(content[:-cut])
    with pytest.raises(CnnError, match="E0401"):
        load_weights(tmp_path / "w.npz")
