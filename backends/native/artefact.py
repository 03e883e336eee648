"""The `.cnnmod` file: an uncompressed zip.

It holds manifest.json, the code of the backend, weights.safetensors (packed for the kernels) and
recipe.json (how the packed weights follow from the network's parameters).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from cnndsl.backends.native import SUFFIX
from cnndsl.backends.native.packing import FLOAT, INT8, INT16, INT32, Packing, Weight, aligned
from cnndsl.diagnostics import CnnError
from cnndsl.ir.serialise import (
    dim_from_json,
    dim_to_json,
    expressions_from_json,
    expressions_to_json,
)
from cnndsl.ir.types import BFLOAT16, FLOAT16, FLOAT32, UINT8, TensorType
from cnndsl.runtime.archive import json_bytes, member_info, read_json, read_member
from cnndsl.runtime.backend import Reader
from cnndsl.runtime.files import atomic_write, check_suffix
from cnndsl.runtime.module import Array, Port

FORMAT = 7
MANIFEST, RECIPE, WEIGHTS = "manifest.json", "recipe.json", "weights.safetensors"
CODES = {
    FLOAT32: "F32",
    FLOAT16: "F16",
    BFLOAT16: "BF16",
    UINT8: "U8",
    INT8: "I8",
    INT16: "I16",
    INT32: "I32",
}
"""What safetensors calls the number formats of packed weights."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Artefact:
    """All that a module is made of.

    `target` names the backend that made it, `code` its files by name, and `program` holds what
    else it needs to run them, as values of JSON.
    """

    target: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]
    program: Mapping[str, Any]
    code: Mapping[str, bytes]
    packing: Packing
    weights: Array


def write_artefact(path: str | Path, artefact: Artefact) -> None:
    """Write the file, atomically and without timestamps. Raises CnnError if it cannot be."""
    check_suffix(path, SUFFIX)
    recipe = json_bytes(recipe_of(artefact.packing))
    data: Any = artefact.weights.data
    contents = {**artefact.code, RECIPE: recipe}
    manifest = {
        "format": FORMAT,
        "target": artefact.target,
        "inputs": [_port(port) for port in artefact.inputs],
        "outputs": [_port(port) for port in artefact.outputs],
        "metadata": dict(artefact.metadata),
        "program": dict(artefact.program),
        "code": list(artefact.code),
        "sha256": {name: _hash(content) for name, content in (*contents.items(), (WEIGHTS, data))},
    }
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member_info(MANIFEST), json_bytes(manifest))
        for name, content in contents.items():
            archive.writestr(member_info(name), content)
        with archive.open(member_info(WEIGHTS), "w", force_zip64=True) as member:
            member.write(_header(artefact.packing))
            member.write(data)


def recipe_of(packing: Packing) -> dict[str, Any]:
    """What the packed weights are made of, as values of JSON."""
    expressions = {name: weight.expression for name, (weight, _) in packing.entries.items()}
    return {
        **expressions_to_json(expressions),
        "dtypes": [weight.dtype.name for weight, _ in packing.entries.values()],
        "offsets": [offset for _, offset in packing.entries.values()],
        "size": packing.size,
    }


def _header(packing: Packing) -> bytes:
    """The start of a safetensors file."""
    text = json_bytes(tensor_table(packing))
    return struct.pack("<Q", len(text)) + text


def tensor_table(packing: Packing) -> dict[str, Any]:
    """What safetensors tells of packed weights, as values of JSON."""
    offsets = [offset for _, offset in packing.entries.values()]
    spans = zip(packing.entries.items(), pairwise([*offsets, packing.size]), strict=True)
    tensors = {}
    for (name, (weight, _)), (first, stop) in spans:
        span = [first * FLOAT, stop * FLOAT]
        numbers = (span[1] - span[0]) // weight.dtype.bytes
        code = CODES[weight.dtype]
        tensors[name] = {"dtype": code, "shape": [numbers], "data_offsets": span}
    return tensors


def read_artefact(
    path: Path, use: Callable[[Artefact], Result], read: Reader | None = None
) -> Result:
    """Read and check a file, by `read` if that is given, and make something of it.

    What becomes of the file later does not matter. Raises CnnError: E0601 no such file, E0603 not
    an artefact, or damaged, or `use` raised an error that wrong values lead to.
    """
    try:
        opened = io.BytesIO(read(path)) if read else path.open("rb")
        with opened as file, zipfile.ZipFile(file) as archive:
            manifest = read_json(archive, MANIFEST)
            if manifest.get("format") != FORMAT:
                raise ValueError(f"its format is {manifest.get('format')}, not {FORMAT}")
            found = _hashes(manifest)
            packing = packing_of(json.loads(_read(archive, RECIPE, found)))
            code = {str(name): _read(archive, name, found) for name in manifest["code"]}
            weights = _weights(file, archive, packing, found)
        return use(_artefact(manifest, packing, code, weights))
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError,
            zipfile.BadZipFile, EOFError, struct.error) as error:  # fmt: skip
        raise CnnError.of(
            "E0603",
            f"{path} is not a compiled module, or damaged: {error}",
            hint="make it anew with `cnndsl compile`",
        ) from None


def _weights(
    file: io.BufferedIOBase,
    archive: zipfile.ZipFile,
    packing: Packing,
    hashes: Mapping[str, Any],
) -> Array:
    """The packed weights, checked by their hash.

    They are read, not mapped: whoever wrote into the file would change what a module computes.
    """
    info = archive.getinfo(WEIGHTS)
    with archive.open(info) as member:
        (length,) = struct.unpack("<Q", member.read(8))
    size = packing.size * FLOAT
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != 8 + length + size:
        raise ValueError(f"{WEIGHTS} has not the size that {RECIPE} asks for")
    file.seek(info.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", file.read(4))
    start = info.header_offset + 30 + name_length + extra_length + 8 + length
    if not 0 <= size <= file.seek(0, os.SEEK_END) - start:
        raise ValueError(f"{WEIGHTS} is cut off")
    weights = aligned(packing.size)
    content = weights.data.cast("B")
    file.seek(start)
    if file.readinto(content) != size:
        raise ValueError(f"{WEIGHTS} is cut off")
    _verify(WEIGHTS, content, hashes)
    return weights


def packing_of(recipe: dict[str, Any]) -> Packing:
    """The packing of `recipe_of`. Raises ValueError, KeyError or TypeError."""
    expressions = expressions_from_json(recipe)
    known = {dtype.name: dtype for dtype in CODES}
    if not set(recipe["dtypes"]) <= set(known):
        raise ValueError("its weights are of an unknown type")
    dtypes = [known[name] for name in recipe["dtypes"]]
    rows = zip(expressions.items(), dtypes, recipe["offsets"], strict=True)
    entries = {
        name: (Weight(expression, dtype), int(offset)) for (name, expression), dtype, offset in rows
    }
    return Packing(entries, (), int(recipe["size"]))


def _artefact(
    manifest: dict[str, Any], packing: Packing, code: Mapping[str, bytes], weights: Array
) -> Artefact:
    metadata, program = manifest["metadata"], manifest["program"]
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata is not a table of texts")
    if not isinstance(program, dict):
        raise ValueError("its program is not a table")
    return Artefact(
        str(manifest["target"]),
        tuple(map(_read_port, manifest["inputs"])),
        tuple(map(_read_port, manifest["outputs"])),
        metadata,
        program,
        code,
        packing,
        weights,
    )


def _port(port: Port) -> list[Any]:
    shape = [dim_to_json(dim) for dim in port.type.shape]
    return [port.name, shape, port.batch, *([] if port.type.batched else [False])]


def _read_port(data: list[Any]) -> Port:
    name, shape, batch, *batched = data
    kind = TensorType(tuple(map(dim_from_json, shape)), batched=batched != [False])
    return Port(str(name), kind, batch and int(batch))


def _hash(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _hashes(manifest: dict[str, Any]) -> Mapping[str, Any]:
    found = manifest["sha256"]
    if not isinstance(found, dict):
        raise ValueError("its hashes are not a table")
    return found


def _verify(name: str, content: bytes | memoryview, hashes: Mapping[str, Any]) -> None:
    if _hash(content) != hashes.get(name):
        raise ValueError(f"{name} is not what {MANIFEST} says: its hash differs")


def _read(archive: zipfile.ZipFile, name: str, hashes: Mapping[str, Any]) -> bytes:
    content = read_member(archive, name)
    _verify(name, content, hashes)
    return content
