"""What the modules of `.cnnmod` files share, whatever runs their code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnndsl.backends.native.artefact import Artefact, write_artefact
from cnndsl.backends.native.packing import as_aligned
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.runtime.layers import Build
from cnndsl.runtime.module import Array, Module
from cnndsl.weights.bind import bind
from cnndsl.weights.rename import read_weights

GRAPH = "graph.json"
"""The file of an artefact that holds the network."""


def graph_text(graph: Graph) -> bytes:
    """The content of the file GRAPH."""
    return json.dumps(to_json(graph), separators=(",", ":"), allow_nan=False).encode()


class NativeModule(Module):
    """A module that is made of an artefact, which it can write. Subclasses implement `run`.

    It can be copied and pickled: KEPT are the attributes that do not follow from the artefact.

    `build` is how it was made, if this process did. Raises ValueError, KeyError or TypeError for
    an artefact whose program has not the batch of all its ports.
    """

    KEPT: tuple[str, ...] = ("build", "warnings")

    def __init__(self, artefact: Artefact):
        super().__init__(artefact.inputs, artefact.outputs, artefact.metadata)
        self._artefact = replace(artefact, weights=as_aligned(artefact.weights))
        self._batch = int(artefact.program["batch"])
        batches = {port.batch or 1 for port in (*self.inputs, *self.outputs)}
        if batches != {self._batch} or not self.inputs or not self.outputs:
            raise ValueError("its inputs and outputs are not those of its program")
        self.build: Build | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._artefact,), {name: getattr(self, name) for name in self.KEPT}

    @property
    def graph(self) -> Graph:
        """The network before the passes of this target."""
        return from_json(json.loads(self._artefact.code[GRAPH]))

    @property
    def weight_bytes(self) -> int:
        """Memory of the packed weights."""
        return self._artefact.weights.nbytes

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `Module`."""
        packing = self._artefact.packing
        bound = bind(packing.parameters(), read_weights(weights, None), seed=None)
        self._artefact = replace(self._artefact, weights=packing.evaluate(bound.values))
        self.warnings = bound.warnings

    def save(self, path: str | Path) -> None:
        """Write a `.cnnmod` file, atomically; equal modules give equal bytes."""
        write_artefact(path, self._artefact)
