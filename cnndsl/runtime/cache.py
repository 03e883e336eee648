"""What is kept between runs. None of it is needed: what is lost or damaged can be made anew.

Several processes may use the cache at a time. A folder that cannot be used costs the cache only,
and so does one that others could put entries into: some entries are code.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import atomic_write

VARIABLE = "CNNDSL_CACHE"
"""The environment variable that names the folder, or turns the cache off."""
OFF = "off"
LIMIT = 1 << 30
"""Bytes that the entries of one kind may take."""

_ENTRY = re.compile(r"\.?[0-9a-f]{62}(\..+)?")
"""The names of entries and of files that become entries: the end of a hash."""
_DIGEST_BYTES = 32


def cache_folder() -> Path | None:
    """What CNNDSL_CACHE names, or else `cnndsl` in the user's folder of caches.

    That is XDG_CACHE_HOME, unless it is relative (XDG Base Directory Specification 0.8), or
    `~/.cache`. None if the cache is turned off, or if there is no such folder.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return None if chosen == OFF else Path(chosen)
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (caches if caches.is_absolute() else Path.home() / ".cache") / "cnndsl"
    except RuntimeError:
        return None


def is_private(folder: Path) -> bool:
    """Whether a folder is the user's own, and nobody else may write into it.

    Raises OSError if there is no such folder.
    """
    status = folder.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


class Store:
    """The entries of one kind: bytes under the hash of a text, the key, that they follow from.

    An entry is a file `KIND/XX/REST`, XX and REST being the hash in hexadecimal. It starts with
    a hash of the kind, the key and what follows, so that no entry passes for another.
    """

    def __init__(self, kind: str):
        self._kind = kind
        folder = cache_folder()
        self._folder = folder and folder / kind

    def path(self, key: str) -> Path | None:
        """Where an entry is or would be; its folder is made. None without a usable cache."""
        if self._folder is None:
            return None
        name = hashlib.sha256(key.encode()).hexdigest()
        path = self._folder / name[:2] / name[2:]
        try:
            for folder in (self._folder.parent, self._folder, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not is_private(folder):
                    return None
        except OSError:
            return None
        return path

    def _digest(self, key: str, content: bytes) -> bytes:
        subject = hashlib.sha256(f"{self._kind}\0{key}".encode()).digest()
        return hashlib.sha256(subject + content).digest()

    def get(self, key: str) -> bytes | None:
        """An entry, or None if there is none or it is damaged."""
        path = self.path(key)
        if path is None:
            return None
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if self._digest(key, content) != digest:
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep an entry, if that is possible."""
        path = self.path(key)
        if path is not None:
            with suppress(CnnError), atomic_write(path) as file:
                file.write(self._digest(key, content) + content)

    def trim(self, limit: int = LIMIT) -> None:
        """Remove entries, the longest unused first, until the others have so many bytes at most."""
        found = [] if self._folder is None else sorted(_entries(self._folder), key=_last_use)
        excess = sum(status.st_size for _, status in found) - limit
        for path, status in found:
            if excess <= 0:
                break
            with suppress(OSError):
                path.unlink()
            excess -= status.st_size


@dataclass(frozen=True)
class Usage:
    """How many entries of a kind there are, and the bytes that they take."""

    kind: str
    entries: int
    bytes: int


def usage() -> list[Usage]:
    """All kinds of entries that there are."""
    return [
        Usage(folder.name, len(found), sum(status.st_size for _, status in found))
        for folder in _kinds()
        if (found := list(_entries(folder)))
    ]


def clear() -> None:
    """Remove all entries, and nothing else. Raises CnnError (E0602) if one cannot be removed."""
    for folder in _kinds():
        for path, _ in _entries(folder):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise CnnError.of("E0602", f"cannot remove {path}: {error.strerror}") from None


def _kinds() -> list[Path]:
    folder = cache_folder()
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder else []
    except OSError:
        return []


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The entries of a kind; what another process removes meanwhile is left out."""
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        if _ENTRY.fullmatch(path.name):
            with suppress(OSError):
                yield path, path.stat()


def _last_use(entry: tuple[Path, os.stat_result]) -> int:
    return entry[1].st_mtime_ns
