"""The container of artefacts: an uncompressed zip without timestamps."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

LARGEST_JSON = 2**28
"""Bytes; a longer text is not one of ours."""


def member_info(name: str) -> zipfile.ZipInfo:
    """What a zip says of a member: its name, and the earliest time that zips know."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """The text of a table, without spaces. Raises ValueError for numbers that are not finite."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member as it is: nothing in the file is compressed, so it cannot be larger than it.

    Raises ValueError if it is not there once, compressed, or cannot be read.
    """
    count = archive.namelist().count(name)
    if count != 1:
        raise ValueError(f"it has {name} twice" if count else f"it has no {name}")
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    try:
        return archive.read(name)
    except RuntimeError as error:
        raise ValueError(f"{name} cannot be read: {error}") from None


def read_json(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """The table that a member holds. Raises ValueError if it holds something else."""
    text = read_member(archive, name)
    if len(text) > LARGEST_JSON:
        raise ValueError(f"{name} has {len(text)} bytes")
    value = json.loads(text, object_pairs_hook=once_each)
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return value


def once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON, for `object_pairs_hook`. Raises ValueError if a name is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return found
