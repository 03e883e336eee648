"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import atomic_write


def write(path: Path, content: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(content)


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_a_file_has_the_rights_that_the_umask_leaves(tmp_path: Path, umask: int):
    write(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "file").read_bytes() == b"new"


def test_many_threads_leave_the_umask_alone(tmp_path: Path, umask: int):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [tmp_path / str(i % 10) for i in range(400)]))
    assert os.umask(umask) == umask
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(i) for i in range(10)]


def test_an_error_leaves_what_was_there(tmp_path: Path):
    write(tmp_path / "file", b"old")

    def fail() -> None:
        with atomic_write(tmp_path / "file") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("name", ["missing/file", "file/file", "folder", ""])
def test_places_that_cannot_be_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CnnError, match="cannot write"):
        write(Path(name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
