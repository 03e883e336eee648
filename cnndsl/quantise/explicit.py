"""What a quantised model says itself: where its numbers are rounded, and to which codes.

Explicit quantisation, in the words of TensorRT: QuantizeLinear and DequantizeLinear of ONNX stand
where numbers are rounded. The network is kept in float32, the roundings beside it, in a file of
the same kind as a calibration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.quantisation import Quantisation
from cnndsl.quantise.calibration import structure_hash
from cnndsl.quantise.reading import (
    FORMAT,
    number,
    numbers,
    quantisation,
    require_format,
    require_keys,
    shown,
)
from cnndsl.runtime.files import atomic_write

METHOD = "model"
"""Stands for that of a calibration: nothing was measured here."""

OUTPUT = "-> "
"""Before the name of an output, in the place of a reader's."""


@dataclass(frozen=True)
class Rounding:
    """The codes to which some readers of a tensor see it rounded; None: all, and outputs too.

    With `shares` each channel has its share of the scale as its own, the largest being 1.
    """

    quantisation: Quantisation
    readers: tuple[str, ...] | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Explicit:
    """The roundings of the tensors of a graph before any pass, by the names of its nodes.

    `weights` has for parameters, by name, the scale of the whole numbers that each filter is made
    of, if they are within -127 to 127. `structure` is the hash of the graph.
    """

    network: str
    structure: str
    tensors: Mapping[str, tuple[Rounding, ...]]
    weights: Mapping[str, tuple[float, ...]]
    file: str = ""

    def write(self, path: str | Path) -> None:
        """Write it as JSON, a line for each tensor and weight, atomically."""
        head = {
            "format": FORMAT,
            "network": self.network,
            "structure": self.structure,
            "method": METHOD,
        }
        tensors = {name: _list([_row(r) for r in rows]) for name, rows in self.tensors.items()}
        weights = {name: _list(list(map(_float32, row))) for name, row in self.weights.items()}
        lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
        parts = [_object("tensors", tensors) + ",", _object("weights", weights)]
        with atomic_write(path) as file:
            file.write("\n".join(["{", *lines, *parts, "}", ""]).encode())

    def require(self, graph: Graph) -> None:
        """Raise CnnError (E0904) unless it is of this graph, before any pass."""
        if self.structure != structure_hash(graph):
            raise CnnError.of(
                "E0904",
                f"{self.file or 'the calibration'} is of {self.network}, not of this {graph.name}",
                hint="import the model again: text, weights and calibration belong together",
            )


def _object(name: str, rows: Mapping[str, str]) -> str:
    lines = ",\n".join(f"    {json.dumps(key)}: {row}" for key, row in rows.items())
    return f'  "{name}": {{\n{lines}\n  }}' if lines else f'  "{name}": {{}}'


def _row(rounding: Rounding) -> str:
    whole, zero = rounding.quantisation.scale, rounding.quantisation.zero
    scales = [_float32(whole * share) for share in rounding.shares]
    scale = f"[{', '.join(scales)}]" if scales else _float32(whole)
    readers = rounding.readers
    more = "" if readers is None else f', "readers": {json.dumps(list(readers))}'
    return f'{{"scale": {scale}, "zero": {zero}{more}}}'


def _list(rows: Sequence[str]) -> str:
    """One item by itself, several as a list."""
    return rows[0] if len(rows) == 1 else f"[{', '.join(rows)}]"


def _float32(value: float) -> str:
    return str(np.float32(value))


def is_explicit(data: Mapping[str, Any]) -> bool:
    """Whether the JSON object of a calibration file is that of a quantised model."""
    return data.get("method") == METHOD


def explicit_of(file: str, data: Mapping[str, Any]) -> Explicit:
    """The roundings in a JSON object of a file. Raises ValueError."""
    require_format(data)
    require_keys("", data, ("format", "network", "structure", "method", "tensors", "weights"))
    for name, kind in (("network", str), ("structure", str), ("tensors", dict), ("weights", dict)):
        if type(data[name]) is not kind:
            raise ValueError(f"{name} is {shown(data[name])}, no {kind.__name__}")
    tensors = {
        name: tuple(_rounding(f"tensors.{name}", row) for row in _items(rows))
        for name, rows in data["tensors"].items()
    }
    weights = {name: _scales(f"weights.{name}", row) for name, row in data["weights"].items()}
    return Explicit(data["network"], data["structure"], tensors, weights, file)


def _items(rows: Any) -> list[Any]:
    return rows if isinstance(rows, list) else [rows]


def _rounding(where: str, row: Any) -> Rounding:
    if not isinstance(row, dict):
        raise ValueError(f"{where} is no JSON object")
    known = ("scale", "zero", "readers") if "readers" in row else ("scale", "zero")
    require_keys(f"{where}.", row, known)
    readers = row.get("readers")
    if readers is not None and not _are_names(readers):
        raise ValueError(f"{where}.readers is {shown(readers)}, no list of names")
    scales = row["scale"] if isinstance(row["scale"], list) else []
    found = numbers(f"{where}.scale", scales)
    if scales and min(found) <= 0:
        raise ValueError(f"{where} has a scale that is not above 0")
    largest = max(found) if found else row["scale"]
    codes = quantisation(where, largest, row["zero"])
    shares = tuple(scale / codes.scale for scale in found)
    return Rounding(codes, None if readers is None else tuple(readers), shares)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _scales(where: str, row: Any) -> tuple[float, ...]:
    found = numbers(where, row) if isinstance(row, list) else (number(where, row),)
    if not found or min(found) <= 0:
        raise ValueError(f"{where} has a scale that is not above 0")
    return tuple(float(np.float32(scale)) for scale in found)
