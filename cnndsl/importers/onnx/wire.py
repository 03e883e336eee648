"""The bytes of a model without those of its large tensors, which stay in the file until they count.

Protobuf copies what it parses: a model would be in memory once as bytes, once as a message, and
once as arrays. So large initialisers become ones whose numbers are in an external file, which is
that of the model. Source of the format: protobuf.dev, Encoding; onnx.proto for the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from onnx import ModelProto

OWN_FILE = "\0"
"""The location of numbers in the file of the model; no file has this name."""

LARGE = 2**16
"""Bytes of a tensor that stay in the file."""

GRAPH, INITIALIZER = 7, 5
RAW_DATA, EXTERNAL_DATA, DATA_LOCATION = 9, 13, 14
"""Fields of ModelProto, GraphProto and TensorProto."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

Field = tuple[int, int, int, int, int]
"""The number and the type of a field, where it begins, and where its value does and ends."""


def parsed(path: Path) -> ModelProto:
    """The model in a file. Raises OSError, and what protobuf raises if it is none."""
    from onnx import ModelProto

    with path.open("rb") as file:
        size = file.seek(0, SEEK_END)
        try:
            slim = b"".join(_replaced(file, 0, size, (GRAPH, INITIALIZER)))
        except ValueError:
            file.seek(0)
            slim = file.read()
    model: ModelProto = ModelProto.FromString(slim)
    return model


def _replaced(file: BinaryIO, start: int, end: int, path: Sequence[int]) -> Iterator[bytes]:
    """A message, with large tensors that a path of fields leads to in their short form."""
    for number, kind, begin, value, stop in _fields(file, start, end):
        if kind != BYTES or number != path[0]:
            yield _bytes(file, begin, stop)
            continue
        inner = _short(file, value, stop) if len(path) == 1 else None
        if inner is None:
            inner = list(_replaced(file, value, stop, path[1:])) if path[1:] else None
        if inner is None:
            yield _bytes(file, begin, stop)
        else:
            yield from (_tag(number, BYTES), _varint(sum(map(len, inner))), *inner)


def _short(file: BinaryIO, start: int, end: int) -> list[bytes] | None:
    """A tensor whose numbers are in this file; None to leave it as it is."""
    if end - start < LARGE:
        return None
    fields = list(_fields(file, start, end))
    data = [field for field in fields if field[0] == RAW_DATA]
    elsewhere = any(number in (EXTERNAL_DATA, DATA_LOCATION) for number, *_ in fields)
    if len(data) != 1 or elsewhere or data[0][1] != BYTES:
        return None
    _, _, _, value, stop = data[0]
    entries = {"location": OWN_FILE, "offset": str(value), "length": str(stop - value)}
    more = [
        _text(EXTERNAL_DATA, _text(1, key.encode()) + _text(2, entry.encode()))
        for key, entry in entries.items()
    ]
    kept = [
        _bytes(file, begin, finish) for number, _, begin, _, finish in fields if number != RAW_DATA
    ]
    return [*kept, *more, _tag(DATA_LOCATION, VARINT), _varint(1)]


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[Field]:
    """The fields of a message. Raises ValueError if the bytes are none."""
    while start < end:
        tag, value = _number(file, start, end)
        kind = tag & 7
        stop = value
        if kind == VARINT:
            _, stop = _number(file, value, end)
        elif kind == BYTES:
            length, value = _number(file, value, end)
            stop = value + length
        elif kind in (FIXED64, FIXED32):
            stop = value + (8 if kind == FIXED64 else 4)
        else:
            raise ValueError("a group")
        if stop > end or not tag >> 3:
            raise ValueError("a field without an end, or a number")
        yield tag >> 3, kind, start, value, stop
        start = stop


def _number(file: BinaryIO, start: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    result = 0
    for index, byte in enumerate(_bytes(file, start, min(start + 10, end))):
        result |= (byte & 127) << 7 * index
        if byte < 128:
            return result, start + index + 1
    raise ValueError("a number without an end")


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _text(number: int, value: bytes) -> bytes:
    return _tag(number, BYTES) + _varint(len(value)) + value
