"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile
from typing import IO

from cnndsl.diagnostics import CnnError


class DamagedError(ValueError):
    """A file is not what its beginning says, or incomplete."""


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """All bytes of a regular file.

    Raises CnnError (E0601) if it cannot be read, or has more than `most` bytes.
    """
    check_regular(path)
    try:
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    if len(content) > most:
        raise _unreadable(path, f"it has more than {most:,} bytes")
    return content


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise CnnError (E0601) for what is no file: pipes and devices may have no end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or str(error)) from None
    if stat.S_ISDIR(mode):
        raise _unreadable(path, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise _unreadable(path, "it is no regular file")


def _unreadable(path: str | os.PathLike[str], problem: str) -> CnnError:
    return CnnError.of("E0601", f"cannot read {path}: {problem}", file=str(path))


def check_suffix(path: str | Path, *suffixes: str) -> None:
    """Raise CnnError (E0613) if a file of that name would not be taken for what it is.

    Pipes and devices may have any name.
    """
    path = Path(path)
    if path.suffix not in suffixes and not _is_special(path):
        better = path.with_suffix(suffixes[0]) if path.name else f"NAME{suffixes[0]}"
        known = " or ".join(suffixes)
        raise CnnError.of(
            "E0613", f"{path} does not end in {known}", hint=f"a name that does: {better}"
        )


def check_place(path: str | Path, *, devices: bool = True) -> None:
    """Raise CnnError (E0602) if nothing can be written there, whatever it is.

    A file that nobody may write is protected, also from a user who may do anything. So are pipes
    and devices from what is no output as a whole: not `devices`.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    if target.is_dir():
        problem = os.strerror(errno.EISDIR)
    elif _is_special(path):
        if devices:
            return
        problem = "it is no regular file"
    elif not target.parent.is_dir():
        problem = os.strerror(errno.ENOENT)
    elif target.exists() and not (target.stat().st_mode & 0o222 and os.access(target, os.W_OK)):
        problem = "it is read-only"
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        problem = f"no file can be made in {target.parent}"
    else:
        return
    raise CnnError.of("E0602", f"cannot write {path}: {problem}")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place under `path` when the block ends without an error.

    A link stays, and what it leads to is replaced by a file with the same rights. What is no
    regular file, such as a pipe or a device, gets all bytes in the end. Raises CnnError (E0602) if
    the folder is missing or cannot be written, or the file is read-only.
    """
    target = Path(path)
    try:
        check_place(target)
        with _writing(target) as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise CnnError.of("E0602", f"cannot write {target}: {reason}") from None


@contextmanager
def text_with_others(path: str | Path, text: str) -> Iterator[None]:
    """A text that takes its place when the block, which writes files for it, ends without an error.

    If it or one of them has no room, the text that was there stays. Raises CnnError (E0602).
    """
    with atomic_write(path) as file:
        file.write(text.encode())
        file.flush()
        yield


@contextmanager
def atomic_folder(path: str | Path, names: Collection[str]) -> Iterator[Path]:
    """A new folder that takes its place under `path` when the block ends without an error.

    `names` are the files that it will have. A folder that is there is replaced if it has no others
    but signatures of these.
    Raises CnnError (E0602) if it has, or if the folder around it cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        check_folder(target, names)
        temporary = target.parent / f".{target.name}.{token_hex(8)}"
        temporary.mkdir()
        try:
            yield temporary
            for name in os.listdir(target) if target.is_dir() else ():
                (target / name).unlink()
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise CnnError.of("E0602", f"cannot write {path}: {error.strerror or error}") from None


def check_folder(path: str | Path, names: Collection[str]) -> None:
    """Raise CnnError (E0602) unless a folder of such files can be written there."""
    target = Path(os.path.realpath(path))
    hint = None
    if target.is_dir():
        others = sorted(set(os.listdir(target)) - {*names, *(f"{name}.sig" for name in names)})
        if not others and os.access(target.parent, os.W_OK | os.X_OK):
            return
        problem = f"it has other files, {others[0]}" if others else "the folder around is read-only"
        hint = "name another folder" if others else None
    elif target.exists():
        problem = os.strerror(errno.ENOTDIR)
    elif not target.parent.is_dir():
        problem = os.strerror(errno.ENOENT)
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        problem = f"nothing can be made in {target.parent}"
    else:
        return
    raise CnnError.of("E0602", f"cannot write {path}: {problem}", hint=hint)


def _is_special(path: Path) -> bool:
    """Whether something is there that a file cannot take the place of."""
    return path.exists() and not path.is_file()


def _writing(target: Path) -> AbstractContextManager[IO[bytes]]:
    return _passing(target) if _is_special(target) else _replacing(Path(os.path.realpath(target)))


@contextmanager
def _passing(target: Path) -> Iterator[IO[bytes]]:
    """A file in which one can seek, whose content goes into a pipe or device in the end."""
    with TemporaryFile() as file:
        yield file
        file.seek(0)
        with target.open("wb") as stream:
            shutil.copyfileobj(file, stream)


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file beside the target that replaces it in the end."""
    temporary = target.parent / f".{target.name}.{token_hex(8)}"
    file = temporary.open("xb")
    try:
        with file:
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o7777)
            yield file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
