"""Calibration files: what was measured of a network, as JSON for people and for compilers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.graph import Graph
from cnndsl.ir.quantisation import CODES, LARGEST_SCALE, Quantisation
from cnndsl.ir.serialise import to_json
from cnndsl.runtime.files import atomic_write, read_file

SUFFIX = ".calibration"
FORMAT = 1
LARGEST_FILE = 1 << 28
LARGEST_NUMBER = CODES * LARGEST_SCALE
"""No code stands for more."""


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


def not_a_calibration(file: str, problem: str) -> CnnError:
    """The error for a file that is none, or holds what cannot be."""
    return CnnError.of("E0903", f"{file}: {problem}", hint="`cnndsl calibrate` makes it anew")


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in a file. Raises CnnError (E0601, E0903 if it is none)."""
    content = read_file(path, LARGEST_FILE)
    try:
        return _read(str(path), _data(content))
    except (ValueError, RecursionError) as error:
        raise not_a_calibration(str(path), str(error)) from None


def _data(content: bytes) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_once_each)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError("it is no JSON") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found


KINDS: dict[str, type] = {
    "network": str,
    "structure": str,
    "method": str,
    "samples": int,
    "level": int,
    "corrected": bool,
}
ROW = ("scale", "zero", "snr", "mean", "peak")


def _read(file: str, data: Any) -> Calibration:
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    if type(data.get("format")) is not int or data["format"] != FORMAT:
        raise ValueError(f"its format is {data.get('format')!r}, not {FORMAT}")
    _require_keys("", data, ("format", *KINDS, "tensors"))
    for name, kind in KINDS.items():
        if type(data[name]) is not kind:
            raise ValueError(f"{name} is {_shown(data[name])}, no {kind.__name__}")
    if not isinstance(data["tensors"], dict):
        raise ValueError("tensors is no JSON object")
    tensors = {name: _measured(f"tensors.{name}", row) for name, row in data["tensors"].items()}
    return Calibration(**{name: data[name] for name in KINDS}, tensors=tensors, file=file)


def _measured(where: str, row: Any) -> Measured:
    if not isinstance(row, dict):
        raise ValueError(f"{where} is no JSON object")
    _require_keys(f"{where}.", row, ROW)
    scale = _number(f"{where}.scale", row["scale"])
    if type(row["zero"]) is not int:
        raise ValueError(f"{where}.zero is {_shown(row['zero'])}, no whole number")
    try:
        quantisation = Quantisation(scale, row["zero"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    snr = None if row["snr"] is None else _number(f"{where}.snr", row["snr"])
    mean = _numbers(f"{where}.mean", row["mean"])
    peak = None if row["peak"] is None else _numbers(f"{where}.peak", row["peak"])
    if peak is not None and (min(peak, default=0) < 0 or not any(peak)):
        raise ValueError(f"{where}.peak has a number below 0, or none over 0")
    return Measured(quantisation, mean, peak, snr)


def _numbers(where: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise ValueError(f"{where} is no list")
    found = tuple(_number(f"{where}[{i}]", value) for i, value in enumerate(values))
    for i, number in enumerate(found):
        if abs(number) > LARGEST_NUMBER:
            raise ValueError(f"{where}[{i}] is {number}, more than codes can stand for")
    return found


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise ValueError(f"{where} is {_shown(value)}, no finite number")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _require_keys(where: str, row: Mapping[str, Any], wanted: tuple[str, ...]) -> None:
    for name in wanted:
        if name not in row:
            raise ValueError(f"{where}{name} is missing")
    for name in row:
        if name not in wanted:
            hint = did_you_mean(name, wanted)
            raise ValueError(f"{where}{name} is unknown{f'; {hint}' if hint else ''}")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
