"""Calibration files: what was measured of a network, as JSON for people and for compilers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.quantisation import Quantisation
from cnndsl.ir.serialise import to_json
from cnndsl.quantise.reading import (
    FORMAT,
    not_a_calibration,
    number,
    numbers,
    quantisation,
    read_json,
    require_format,
    require_keys,
    shown,
)
from cnndsl.runtime.files import atomic_write

SUFFIX = ".calibration"


@dataclass(frozen=True)
class Measured:
    """What is known of a tensor: its codes, the mean of each channel, and what codes cost alone.

    `peak` are the largest values of the channels before they are equalised, if they are. `snr` is
    the signal-to-noise ratio in dB of the layer on codes if all others are exact; None if it is
    never computed on codes, or without an error.
    """

    quantisation: Quantisation
    mean: tuple[float, ...]
    peak: tuple[float, ...] | None = None
    snr: float | None = None


@dataclass(frozen=True)
class Calibration:
    """The tensors of a prepared graph by name, and how they were measured.

    `structure` is the hash of the graph. `corrected` tells whether compilers correct biases; what
    has a peak is equalised.
    """

    network: str
    structure: str
    method: str
    samples: int
    level: int
    corrected: bool
    tensors: Mapping[str, Measured]
    file: str = ""

    def write(self, path: str | Path) -> None:
        """Write it as JSON, a line for each tensor, atomically."""
        head = {
            "format": FORMAT,
            "network": self.network,
            "structure": self.structure,
            "method": self.method,
            "samples": self.samples,
            "level": self.level,
            "corrected": self.corrected,
        }
        rows = [f"    {json.dumps(name)}: {_row(found)}" for name, found in self.tensors.items()]
        lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
        text = "\n".join(["{", *lines, '  "tensors": {', ",\n".join(rows), "  }", "}", ""])
        with atomic_write(path) as file:
            file.write(text.encode())

    def require(self, graph: Graph) -> None:
        """Raise CnnError (E0904, E0903) unless it is of this prepared graph, and complete."""
        if self.structure != structure_hash(graph):
            raise CnnError.of(
                "E0904",
                f"{self.file or 'the calibration'} is of {self.network}, or of another form of it, "
                f"not of this {graph.name}",
                hint="calibrate again, with the settings and the level (-O) to compile with",
            )
        for node in graph.nodes():
            if node.name not in self.tensors:
                self._refuse(f"tensors.{node.name} is missing")
        for node in graph.nodes():
            found = self.tensors.get(node.name)
            for role in ("mean", "peak") if found else ():
                have, need = getattr(found, role), node.type.channels
                if have is not None and len(have) != need:
                    self._refuse(f"tensors.{node.name}.{role} has {len(have)} numbers, not {need}")
        for name in self.tensors:
            if name not in graph:
                self._refuse(f"tensors.{name} is no tensor of the network")

    @property
    def peaks(self) -> dict[str, tuple[float, ...]]:
        """Those of tensors to equalise, by name."""
        return {name: row.peak for name, row in self.tensors.items() if row.peak is not None}

    def _refuse(self, problem: str) -> None:
        raise not_a_calibration(self.file or "the calibration", problem)


def _row(found: Measured) -> str:
    scale = str(np.float32(found.quantisation.scale))
    snr = "null" if found.snr is None else f"{found.snr:.1f}"
    parts = [f'"scale": {scale}, "zero": {found.quantisation.zero}, "snr": {snr}']
    parts += [f'"mean": {_list(found.mean)}', f'"peak": {_list(found.peak)}']
    return "{" + ", ".join(parts) + "}"


def _list(numbers: Sequence[float] | None) -> str:
    return "null" if numbers is None else f"[{', '.join(f'{n:.4g}' for n in numbers)}]"


def structure_hash(graph: Graph) -> str:
    """SHA-256 of the nodes of a graph, whatever its weights and the positions of its inputs."""
    nodes = [
        [node["name"], node["operands"], [_form(part) for part in node["parts"]]]
        for node in to_json(graph)["nodes"]
    ]
    return hashlib.sha256(json.dumps([nodes, graph.outputs]).encode()).hexdigest()


def _form(part: Mapping[str, Any]) -> list[Any]:
    attributes = part["attributes"]
    if part["op"] == "input":
        attributes = {**attributes, "shape": attributes["shape"][:1]}
    return [part["op"], attributes]


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in a file. Raises CnnError (E0601, E0903 if it is none)."""
    return read_json(path, calibration_of)


KINDS: dict[str, type] = {
    "network": str,
    "structure": str,
    "method": str,
    "samples": int,
    "level": int,
    "corrected": bool,
}
ROW = ("scale", "zero", "snr", "mean", "peak")


def calibration_of(file: str, data: Mapping[str, Any]) -> Calibration:
    """The calibration in a JSON object of a file. Raises ValueError."""
    require_format(data)
    require_keys("", data, ("format", *KINDS, "tensors"))
    for name, kind in KINDS.items():
        if type(data[name]) is not kind:
            raise ValueError(f"{name} is {shown(data[name])}, no {kind.__name__}")
    if not isinstance(data["tensors"], dict):
        raise ValueError("tensors is no JSON object")
    tensors = {name: _measured(f"tensors.{name}", row) for name, row in data["tensors"].items()}
    return Calibration(**{name: data[name] for name in KINDS}, tensors=tensors, file=file)


def _measured(where: str, row: Any) -> Measured:
    if not isinstance(row, dict):
        raise ValueError(f"{where} is no JSON object")
    require_keys(f"{where}.", row, ROW)
    codes = quantisation(where, row["scale"], row["zero"])
    snr = None if row["snr"] is None else number(f"{where}.snr", row["snr"])
    mean = numbers(f"{where}.mean", row["mean"])
    peak = None if row["peak"] is None else numbers(f"{where}.peak", row["peak"])
    if peak is not None and (min(peak, default=0) < 0 or not any(peak)):
        raise ValueError(f"{where}.peak has a number below 0, or none over 0")
    return Measured(codes, mean, peak, snr)
