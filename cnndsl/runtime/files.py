"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO

from cnndsl.diagnostics import CnnError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place under `path` when the block ends without an error.

    A link stays, and what it leads to is replaced by a file with the same rights. What is no
    regular file, such as a pipe or a device, is written directly. Raises CnnError if the folder
    is missing or cannot be written.
    """
    target = Path(path)
    try:
        special = target.exists() and not target.is_file()
        with target.open("wb") if special else _replacing(Path(os.path.realpath(path))) as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise CnnError.of("E0602", f"cannot write {target}: {reason}") from None


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
