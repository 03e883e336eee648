"""Safetensors in and out, against the library's own reader and writer."""

import json
import os
import struct
from contextlib import suppress

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file

from cnndsl.diagnostics import CnnError
from cnndsl.weights.files import SAFETENSORS_DTYPES, load_weights, save_safetensors

ARRAYS = {
    "b.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a.bias": np.array([0.5, -1], dtype=np.float64),
    "scalar": np.array(3.0, dtype=np.float32),
    "none": np.zeros((0, 4), np.float32),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "größe": np.ones(1, np.float32),
}


def raw(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_what_is_saved_is_read_by_the_library(tmp_path):
    save_safetensors(tmp_path / "w", ARRAYS, {"network": "x", "version": "1"})
    read = load_file(tmp_path / "w")
    assert set(read) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].dtype == np.float32
        assert np.array_equal(read[name], array)
    with safe_open(tmp_path / "w", "np") as file:
        assert file.metadata() == {"network": "x", "version": "1"}


def test_what_the_library_saves_is_read(tmp_path):
    contiguous = {name: np.array(array, order="C") for name, array in ARRAYS.items()}
    contiguous["counter"] = np.array(7, np.int64)
    save_file(contiguous, tmp_path / "w")
    read = load_weights(tmp_path / "w")
    assert list(read) == sorted(contiguous)
    for name, array in contiguous.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array)


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    metadata = {f"key{i}": "value" for i in range(8)}
    save_safetensors(tmp_path / "1", ARRAYS, metadata)
    backwards = dict(reversed(ARRAYS.items()))
    save_safetensors(tmp_path / "2", backwards, dict(reversed(metadata.items())))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("code", SAFETENSORS_DTYPES)
def test_every_dtype(tmp_path, code):
    name = SAFETENSORS_DTYPES[code]
    numbers = np.array([0, 1, 1], getattr(ml_dtypes, name, name))
    entry = {"dtype": code, "shape": [3], "data_offsets": [0, numbers.nbytes]}
    (tmp_path / "w").write_bytes(raw({"x": entry}, numbers.tobytes()))
    read = load_weights(tmp_path / "w")["x"]
    small = code.startswith(("F16", "BF16", "F8"))
    assert read.dtype == ("float32" if small else name)
    assert read.tolist() == [0, 1, 1]


def entry(**changes) -> dict:
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"hello, these are not weights",
        struct.pack("<Q", 2**63) + b"{",
        struct.pack("<Q", 9) + b"{",
        struct.pack("<Q", 2) + b"{]",
        raw({"x": 1}),
        raw(entry(), b"\x00" * 7),
        raw(entry(), b"\x00" * 9),
        raw(entry(shape=[3]), b"\x00" * 8),
        raw(entry(shape=[-2]), b"\x00" * 8),
        raw(entry(shape=[0, 2**62, 2**62], data_offsets=[0, 0])),
        raw(entry(data_offsets=[8, 0]), b"\x00" * 8),
        raw(entry(dtype="C64", data_offsets=[0, 16]), b"\x00" * 16),
        raw(entry(dtype="F31"), b"\x00" * 8),
        save(ARRAYS | {"turned": np.ones(2)})[:-1],
    ],
    ids=range(16),
)
def test_damaged_files(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(CnnError, match="E0401"):
        load_weights(tmp_path / "w")


def test_one_name_twice_is_refused(tmp_path):
    """The library reads the last one; another reader may take the first."""
    first, second = (json.dumps(entry(shape=shape)) for shape in ([1, 2], [2, 1]))
    text = f"{first[:-1]},{second[1:]}".encode()
    (tmp_path / "w").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    load_file(tmp_path / "w")
    with pytest.raises(CnnError, match=r"E0401.*'x' is there twice"):
        load_weights(tmp_path / "w")


def test_files_that_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CnnError, match=r"E0601.*does not exist"):
        load_weights(tmp_path / "missing")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(CnnError, match=r"E0401.*not a file"):
            load_weights(path)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(CnnError, match="E0602"):
        save_safetensors(tmp_path / "missing" / "w", ARRAYS)


@settings(max_examples=300)
@given(
    place=st.integers(0, 400),
    replacement=st.binary(max_size=5),
    length=st.integers(0, 1000),
)
def test_mutations_load_or_complain(tmp_path_factory, place, replacement, length):
    mutated = bytearray(raw(entry() | {"y": entry(data_offsets=[8, 16])["x"]}, bytes(16)))
    mutated[place : place + len(replacement)] = replacement
    path = tmp_path_factory.getbasetemp() / "mutated.safetensors"
    path.write_bytes(mutated[:length])
    with suppress(CnnError):
        load_weights(path)
