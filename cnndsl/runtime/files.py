"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO

from cnndsl.diagnostics import CnnError


class DamagedError(ValueError):
    """A file is not what its beginning says, or incomplete."""


def check_suffix(path: str | Path, suffix: str) -> None:
    """Raise CnnError (E0613) if an artefact of that name could not be loaded again.

    Pipes and devices may have any name.
    """
    path = Path(path)
    if path.suffix != suffix and not _is_special(path):
        better = path.with_suffix(suffix) if path.name else f"NAME{suffix}"
        raise CnnError.of(
            "E0613", f"{path} does not end in {suffix}", hint=f"a name that does: {better}"
        )


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place under `path` when the block ends without an error.

    A link stays, and what it leads to is replaced by a file with the same rights. What is no
    regular file, such as a pipe or a device, is written directly. Raises CnnError if the folder
    is missing or cannot be written.
    """
    target = Path(path)
    try:
        with _writing(target) as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise CnnError.of("E0602", f"cannot write {target}: {reason}") from None


def _is_special(path: Path) -> bool:
    """Whether something is there that a file cannot take the place of."""
    return path.exists() and not path.is_file()


def _writing(target: Path) -> AbstractContextManager[IO[bytes]]:
    return target.open("wb") if _is_special(target) else _replacing(Path(os.path.realpath(target)))


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
