"""What a library's file tells of its functions.

Source: Tool Interface Standard, ELF, and its 64-bit form (System V ABI, chapters 4 and 5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

SYMBOL_TABLE = 2
SECTION_FIELDS = {1: "<2I4I2I2I", 2: "<2I4Q2I2Q"}
"""Of a section's header by class, 32 or 64 bits: name, type, flags, address, offset, size, link,
info, alignment, size of an entry."""


def symbol_bytes(content: bytes) -> dict[str, int]:
    """The bytes of each function of a file in ELF; nothing of a file in another form."""
    if content[:4] != b"\x7fELF" or content[4] not in SECTION_FIELDS or content[5] != 1:
        return {}
    is_64 = content[4] == 2
    start = struct.unpack_from("<Q" if is_64 else "<I", content, 40 if is_64 else 32)[0]
    size, count = struct.unpack_from("<HH", content, 58 if is_64 else 46)
    fields = SECTION_FIELDS[content[4]]
    sections = [struct.unpack_from(fields, content, start + n * size) for n in range(count)]
    found = {}
    for section in sections:
        if section[1] == SYMBOL_TABLE:
            names = sections[section[6]][4]
            for name, length in _symbols(content, section[4], section[5], is_64):
                found[content[names + name : content.index(b"\0", names + name)].decode()] = length
    return found


def _symbols(content: bytes, start: int, size: int, is_64: bool) -> Iterator[tuple[int, int]]:
    """Where the name of each function stands among the names, and its bytes."""
    fields = struct.Struct("<IBBHQQ" if is_64 else "<IIIBBH")
    for entry in fields.iter_unpack(content[start : start + size]):
        kind = entry[1] if is_64 else entry[3]
        if kind & 15 == 2:
            yield entry[0], entry[5] if is_64 else entry[2]
