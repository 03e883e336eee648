"""What was measured of a network, as its page shows it: times and errors of layers.

It is the plain data of `cnndsl bench --layers --json` and `cnndsl compare --json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import Dim
from cnndsl.ir.graph import Graph

Data = Mapping[str, Any]

LARGEST = 1 << 26
"""Bytes of such data; a pipe may have no end."""


@dataclass(frozen=True)
class Kind:
    """What makes data of a kind, the key of its layers, the row of each, and what else is shown."""

    verb: str
    layers: str
    row: Callable[[Data], dict[str, Any]]
    facts: tuple[str, ...]

    def read(self, path: Path) -> Data:
        """The data of a file. Raises CnnError: E0601, E0603."""
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
            return self.checked(json.loads(content[:LARGEST]), str(path))
        except OSError as error:
            raise CnnError.of("E0601", f"cannot read {path}: {error.strerror}") from None
        except (ValueError, RecursionError):
            raise self._wrong(str(path)) from None

    def checked(self, data: Any, origin: str) -> Data:
        """The data if it is what the verb writes. Raises CnnError (E0603)."""
        try:
            self.shown(data)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._wrong(origin) from None
        return dict(data)

    def shown(self, data: Data) -> dict[str, Any]:
        """What the page needs of it."""
        facts = {name: data[name] for name in self.facts}
        return {**facts, "rows": [self.row(layer) for layer in data[self.layers]]}

    def of(self, data: Data, graph: Graph) -> dict[str, Any]:
        """The same for a page of a graph, each row with the node that it is a step of.

        Raises CnnError (E0603) if another one was measured.
        """
        found = self.shown(data)
        measured = {row["node"]: row["shape"][1:] for row in found["rows"] if row["node"] in graph}
        if found["network"] != graph.name or not measured:
            whose = f"of {found['network']!r}" if found["rows"] else "of no layers"
            message = f"what was measured is {whose}, not of {graph.name!r}"
        elif _differs(measured, graph):
            message = f"{graph.name!r} was measured with other sizes"
        else:
            rows = (
                {"name": row["node"], **row, "node": _home(row, graph)} for row in found["rows"]
            )
            return {**found, "rows": list(rows)}
        raise CnnError.of("E0603", message, hint=f"measure it with `cnndsl {self.verb}`")

    def _wrong(self, origin: str) -> CnnError:
        hint = f"`cnndsl {self.verb}` writes such a file"
        return CnnError.of("E0603", f"{origin} holds no measured layers", file=origin, hint=hint)


def _home(row: Data, graph: Graph) -> str:
    """The node that a step is part of, by its name: `conv1.unpooled` is one of conv1.

    What a target does of its own for an output is part of what makes this. Empty if there is none.
    """
    name: str = row["node"]
    while name and name not in graph:
        name = graph.outputs.get(name) or name.rpartition(".")[0]
    return name


def _differs(measured: Mapping[str, list[int]], graph: Graph) -> bool:
    """Whether most layers have another shape; fused ones may have, and open sizes fit any."""
    pairs = [(shape, graph[name].type.shape) for name, shape in measured.items()]
    return 2 * sum(not _fits(shape, wanted) for shape, wanted in pairs) > len(pairs)


def _fits(shape: Sequence[int], wanted: Sequence[Dim]) -> bool:
    return len(shape) == len(wanted) and all(
        have == want for have, want in zip(shape, wanted, strict=True) if isinstance(want, int)
    )


def _time(layer: Data) -> dict[str, Any]:
    return {
        "node": str(layer["node"]),
        "op": str(layer["op"]),
        "kernel": str(layer["family"]),
        "shape": [int(size) for size in layer["shape"]],
        "ms": _number(layer["ms"]),
        "bound": layer["bound"] and str(layer["bound"]),
    }


def _errors(layer: Data) -> dict[str, Any]:
    return {
        "node": "" if layer["op"] == "output" else str(layer["name"]),
        "name": str(layer["name"]),
        "op": str(layer["op"]),
        "shape": [int(size) for size in layer["shape"]],
        "errors": _numbers(layer["errors"]),
        "snr": _numbers(layer["snr_db"]),
    }


def _numbers(found: Data) -> dict[str, float | None]:
    return {str(key): None if value is None else _number(value) for key, value in found.items()}


def _number(value: Any) -> float:
    """A number that the page can read: infinite ones become the largest there are."""
    limit = 1e308
    if math.isnan(value):
        raise ValueError("not a number")
    return max(-limit, min(limit, float(value)))


TIMES = Kind("bench --layers --json", "layers", _time, ("network", "batch", "threads"))
ERRORS = Kind("compare --json", "rows", _errors, ("network", "targets", "precision", "tolerance"))
