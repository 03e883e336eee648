"""Where texts come from: files, and the zoo."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from cnndsl.diagnostics import CnnError, Source
from cnndsl.language import limits

_NETWORK_LINE = re.compile(r"^network[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How texts begin that are in UTF-16, as some shells redirect them into files."""


def zoo_folder() -> Path:
    """The folder of the standard networks and blocks."""
    with resources.as_file(resources.files("cnndsl.networks")) as folder:
        return Path(folder)


@cache
def zoo() -> dict[str, Path]:
    """Every network of the zoo, by name, with its file. A file named like its network wins."""
    found: dict[str, Path] = {}
    for path in sorted(zoo_folder().rglob("*.cnn")):
        for name in _NETWORK_LINE.findall(path.read_text("utf-8")):
            if name not in found or path.stem == name:
                found[name] = path
    return found


def networks_in(path: Path, read: Callable[[Path], Source] | None = None) -> list[str]:
    """The names of the networks that a file defines; none if it is no text of the language."""
    try:
        return _NETWORK_LINE.findall((read or read_source)(path).text)
    except CnnError:
        return []


def read_source(path: Path) -> Source:
    """The text of a file. Raises CnnError if it cannot be read, or is too large to be one."""
    name = str(path)
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise CnnError.of("E0601", f"cannot read {path}: it is no regular file", file=name)
            content = file.read(limits.FILE_BYTES + 1)
        if len(content) > limits.FILE_BYTES:
            message = f"{path} is larger than {limits.FILE_BYTES:,} bytes"
            raise CnnError.of("E0505", message, file=name)
        return Source(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"{path} is not a text in UTF-8 (byte {error.start} is wrong)"
        hint = "it is in UTF-16: save it in UTF-8" if content.startswith(UTF_16) else None
        raise CnnError.of("E0603", message, hint=hint, file=name) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CnnError.of("E0601", f"cannot read {path}: {reason}", file=name) from None


def _without_waiting(path: str, flags: int) -> int:
    """Open a file, or a pipe that nobody writes to."""
    return os.open(path, flags | os.O_NONBLOCK)


def is_text(spec: str) -> bool:
    """Whether a spec is the text of a network, rather than a name."""
    return "{" in spec or "\n" in spec


def is_file(path: Path) -> bool:
    """Whether there is a regular file that the system lets us see."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def texts_in(folder: Path) -> list[Path]:
    """The `.cnn` files of a folder, in order; none if it cannot be listed."""
    return sorted(folder.glob("*.cnn"))


@dataclass(frozen=True)
class Files:
    """Where imported texts are: on the disk, unless an editor shows others.

    `beside` lists the texts in a folder, `read` raises CnnError as `read_source` does.
    """

    has: Callable[[Path], bool] = is_file
    read: Callable[[Path], Source] = read_source
    beside: Callable[[Path], Iterable[Path]] = texts_in


DISK = Files()


def resolved(path: str | Path) -> Path:
    """The file that a path leads to; a path that leads nowhere, as a link to itself, stays."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a zero byte
        return Path(path).absolute()


def iter_files(path: Path) -> Iterator[Path]:
    """The `.cnn` files of a folder, deep, in order; anything else is itself.

    Folders in it that cannot be read, or that go away meanwhile, are passed over.
    """
    if path.is_dir():
        yield from sorted(
            Path(folder, name)
            for folder, _, names in os.walk(path)
            for name in names
            if name.endswith(".cnn")
        )
    else:
        yield path
