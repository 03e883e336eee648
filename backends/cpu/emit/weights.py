"""The file of a library's weights: safetensors of the packed weights, which a program maps.

The header begins with two sums of all words, by which damage is found, and with a hash of what the
weights are, by which those of another network are; it is filled up so that the words start at a
multiple of ALIGNMENT.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from cnndsl.backends.native.artefact import recipe_of, tensor_table
from cnndsl.backends.native.packing import ALIGNMENT, FLOAT, Packing
from cnndsl.runtime.archive import json_bytes
from cnndsl.runtime.module import Array

PREFIX = '{"__metadata__":{"checksum":"'
LAYOUT = '","layout":"'
PIECE = 1 << 20
"""Words that are added up at a time."""


def layout_of(packing: Packing) -> str:
    """The hash of what packed weights are, in hexadecimals."""
    return hashlib.sha256(json_bytes(recipe_of(packing))).hexdigest()


def header(packing: Packing, sums: str = "0" * 32) -> bytes:
    """All before the words."""
    table = json_bytes(tensor_table(packing)).decode().removeprefix("{")
    ending = f",{table}" if packing.entries else "}"
    text = f'{PREFIX}{sums}{LAYOUT}{layout_of(packing)}"}}{ending}'.encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text


def content(packing: Packing, weights: Array) -> tuple[bytes, Array]:
    """The two parts of the file."""
    return header(packing, checksum(weights)), weights


def checksum(weights: Array) -> str:
    """The sum of all words, and that of the words times their number, both modulo 2^64."""
    words = weights.view(np.uint32)
    assert weights.itemsize == FLOAT
    plain = placed = 0
    for start in range(0, len(words), PIECE):
        part = words[start : start + PIECE].astype(np.uint64)
        numbers = np.arange(start + 1, start + 1 + len(part), dtype=np.uint64)
        plain += int(part.sum())
        placed += int((part * numbers).sum())
    return f"{plain % 2**64:016x}{placed % 2**64:016x}"
