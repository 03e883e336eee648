"""Archives of numpy arrays: read in order, and refused if they are not what they say."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.arrays import read_arrays
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
    with pytest.raises(CnnError, match="array of Python objects") as caught:
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


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        header("(10" + "0" * 30 + ",)"),
        header("(4611686018427387905, 4)"),
        header("(True,)") + b"\0" * 4,
        header("(-1,)"),
        header("(1.0,)") + b"\0" * 4,
        header("(" + "-" * 9000 + "1,)") + b"\0" * 4,
        header("(" * 9000),
        header("({[]: 1},)"),
        header("(1, 1", "'<f4'"),
        header("(1,)", "[('a', '<f4')]") + b"\0" * 4,
        header("(1,)", "'<c8'") + b"\0" * 8,
        header("(1,)", "'<U1'") + b"\0" * 4,
        header("(1,)", "'V4'") + b"\0" * 4,
        header("(1,)", "'<f99'") + b"\0" * 4,
        header("(" + "1," * 65 + ")") + b"\0" * 4,
        header("(1,)") + b"\0" * 5,
        header("(2,)") + b"\0" * 4,
        b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"{}",
        b"\x93NUMPY\x09\x00" + b"\0" * 90,
    ],
    ids=range(19),
)
@pytest.mark.parametrize("read", [load_weights, read_arrays])
def test_headers_that_lie(tmp_path, content, read):
    archive(tmp_path / "w.npz", a=content)
    (tmp_path / "w.npy").write_bytes(content)
    for name in ("w.npz", "w.npy"):
        with pytest.raises(CnnError, match=r"E0401|E0608"):
            read(tmp_path / name)


@pytest.mark.parametrize("read", [load_weights, read_arrays])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_flipped_bits_are_noticed_or_do_not_matter(tmp_path, save, read):
    array = np.random.default_rng(0).normal(size=40).astype(np.float32)
    save(tmp_path / "w.npz", a=array)
    content = (tmp_path / "w.npz").read_bytes()
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        (tmp_path / "w.npz").write_bytes(damaged)
        try:
            found = read(tmp_path / "w.npz")
        except CnnError:
            continue
        assert all(np.array_equal(value, array) for value in found.values())


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_without_a_bound_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "w.npz", "w", method) as file:
        file.writestr("a.npy", npy(np.zeros(9)))
    with pytest.raises(CnnError, match="compressed in another way"):
        load_weights(tmp_path / "w.npz")


def test_a_member_that_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path):
    """Both sizes of the member in the zip are those of a small array."""
    large = header("(10000000,)") + bytes(40_000_000)
    with zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("a.npy", large)
        size = file.getinfo("a.npy").file_size
    content = (tmp_path / "w.npz").read_bytes()
    small = len(header("(1,)")) + 4
    lying = content.replace(size.to_bytes(4, "little"), small.to_bytes(4, "little"))
    lying = lying.replace(b"10000000,", b"1,".ljust(10))
    (tmp_path / "w.npz").write_bytes(lying)
    del large
    tracemalloc.start()
    with pytest.raises(CnnError, match="E0401"):
        load_weights(tmp_path / "w.npz")
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_one_name_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        file.writestr("a.npy", npy(np.zeros(9)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a.npy", npy(np.ones(9)))
    with pytest.raises(CnnError, match="one name twice"):
        load_weights(tmp_path / "w.npz")


def test_arrays_of_other_writers(tmp_path):
    """Big-endian numbers, columns first, version 2 of the format, and a header of Python 2."""
    stream = io.BytesIO()
    turned = np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3))
    np.lib.format.write_array(stream, turned, version=(2, 0))
    old = header("(2L,)") + np.array([1, 2], "<f4").tobytes()
    archive(tmp_path / "w.npz", a=stream.getvalue(), b=old)
    for read in (load_weights, read_arrays):
        found = read(tmp_path / "w.npz")
        np.testing.assert_array_equal(found["a"], turned)
        assert found["b"].tolist() == [1, 2]
