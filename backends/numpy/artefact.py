"""The `.cnnref` file: an uncompressed zip of manifest.json, graph.json and weights.safetensors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.runtime.archive import json_bytes, member_info, read_json, read_member
from cnndsl.runtime.backend import Reader
from cnndsl.runtime.files import atomic_write, check_suffix
from cnndsl.runtime.module import Array

SUFFIX = ".cnnref"
FORMAT = 1
MANIFEST, GRAPH, WEIGHTS = "manifest.json", "graph.json", "weights.safetensors"


@dataclass(frozen=True)
class Artefact:
    """What a file holds: the graph, the parameters' arrays by name, and the module's settings."""

    graph: Graph
    values: dict[str, Array]
    dtype: str
    batch: int | None
    metadata: dict[str, str]


def write_artefact(
    path: str | Path, graph: Graph, values: Mapping[str, Array], settings: Mapping[str, Any]
) -> None:
    """Write the file, atomically and without timestamps. Raises CnnError if it cannot be."""
    from safetensors.numpy import save

    check_suffix(path, SUFFIX)
    weights = {name: values[name] for name in sorted(graph.parameters())}
    parts = {
        MANIFEST: json_bytes({"format": FORMAT, **settings}),
        GRAPH: json_bytes(to_json(graph)),
        WEIGHTS: save(weights),
    }
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(member_info(name), content)


def read_artefact(path: Path, read: Reader | None = None) -> Artefact:
    """Read and check a file, by `read` if that is given.

    Raises CnnError (E0601 no such file, E0603 not an artefact).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(read(path)) if read else path) as archive:
            manifest = read_json(archive, MANIFEST)
            if manifest.get("format") != FORMAT:
                raise ValueError(f"its format is {manifest.get('format')}, not {FORMAT}")
            graph = from_json(read_json(archive, GRAPH))
            values = _read_weights(read_member(archive, WEIGHTS), graph)
        return Artefact(graph, values, *_settings(manifest))
    except OSError as error:
        raise CnnError.of("E0601", f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, EOFError, RecursionError, NotImplementedError) as error:
        raise not_an_artefact(path, str(error)) from None


def not_an_artefact(path: Path, problem: str) -> CnnError:
    """The error for a file that is no artefact, or a damaged one."""
    return CnnError.of(
        "E0603",
        f"{path} is not a reference module, or damaged: {problem}",
        hint="make it anew with `cnndsl compile --target reference`",
    )


def _read_weights(content: bytes, graph: Graph) -> dict[str, Array]:
    """The arrays by name, if they are exactly what the graph's parameters ask for."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        values = load(content)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{WEIGHTS}: {error}") from None
    expected = {name: parameter.shape for name, parameter in graph.parameters().items()}
    if {name: value.shape for name, value in values.items()} != expected:
        raise ValueError(f"{WEIGHTS} does not fit {GRAPH}")
    if any(value.dtype.kind != "f" for value in values.values()):
        raise ValueError(f"{WEIGHTS} holds other than floating point numbers")
    return values


def _settings(manifest: dict[str, Any]) -> tuple[str, int | None, dict[str, str]]:
    dtype, batch, metadata = (manifest.get(key) for key in ("dtype", "batch", "metadata"))
    if dtype not in ("float32", "float64"):
        raise ValueError(f"its dtype is {dtype}")
    if batch is not None and (type(batch) is not int or batch < 1):
        raise ValueError(f"its batch is {batch}")
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata is not a table of texts")
    return dtype, batch, metadata
