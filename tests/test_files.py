"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import atomic_folder, atomic_write, check_folder


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


def test_a_link_stays(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "link to nothing").symlink_to("folder/new")
    for name in ("link", "link to nothing"):
        write(tmp_path / name)
        assert (tmp_path / name).is_symlink()
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["file", "new"]
    assert (tmp_path / "folder" / "file").read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_rights(tmp_path: Path, umask: int, mode: int):
    write(tmp_path / "file", b"old")
    (tmp_path / "file").chmod(mode)
    with atomic_write(tmp_path / "file") as file:
        (temporary,) = tmp_path.glob(".file.*")
        assert temporary.stat().st_mode & 0o777 == mode
        file.write(b"new")
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_pipe_is_written_into(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        write(tmp_path / "pipe")
        assert read.result() == b"new"
    assert (tmp_path / "pipe").is_fifo()


def test_standard_output_is_written_to(tmp_path: Path):
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    program = "import sys; from cnndsl.runtime.files import atomic_write as a\nwith a(sys.argv[1])"
    command = [sys.executable, "-c", f"{program} as f: f.write(b'new')", tmp_path / "stdout"]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"new"


@pytest.mark.parametrize("name", ["missing/file", "file/file", "folder", ""])
def test_places_that_cannot_be_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CnnError, match="cannot write"):
        write(Path(name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_that_nobody_may_write_is_left(tmp_path: Path):
    write(tmp_path / "file", b"old")
    (tmp_path / "file").chmod(0o444)
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with pytest.raises(CnnError, match=r"E0602.*it is read-only"):
            write(tmp_path / name)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [b"old"] * 2


def test_a_folder_is_replaced_with_its_signatures_but_not_with_other_files(tmp_path: Path):
    folder = tmp_path / "out"
    for content in (b"old", b"new"):
        with atomic_folder(folder, ["net.so"]) as made:
            (made / "net.so").write_bytes(content)
        assert [path.read_bytes() for path in folder.iterdir()] == [content]
        write(folder / "net.so.sig")
    write(folder / "mine.sig")
    with pytest.raises(CnnError, match=r"it has other files, mine\.sig"):
        check_folder(folder, ["net.so"])
