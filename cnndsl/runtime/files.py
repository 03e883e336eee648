"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO

from cnndsl.diagnostics import CnnError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place under `path` when the block ends without an error.

    Raises CnnError if the folder is missing or cannot be written.
    """
    target = Path(path)
    temporary = target.parent / f".{target.name}.{token_hex(8)}"
    try:
        file = temporary.open("xb")
        try:
            with file:
                yield file
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CnnError.of("E0602", f"cannot write {target}: {error.strerror}") from None
