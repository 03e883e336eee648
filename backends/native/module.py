"""What the modules of `.cnnmod` files share, whatever runs their code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.backends.native.artefact import RECIPE, Artefact, recipe_of, write_artefact
from cnndsl.backends.native.packing import Packing, as_aligned
from cnndsl.backends.native.refill import Refill
from cnndsl.ir.graph import Graph
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.runtime.archive import json_bytes
from cnndsl.runtime.layers import Build, Layer
from cnndsl.runtime.module import Array, Module, Port, graph_ports
from cnndsl.runtime.options import CompileOptions
from cnndsl.runtime.sizes import Size
from cnndsl.weights.bind import bind, warn_of
from cnndsl.weights.rename import read_weights

GRAPH = "graph.json"
"""The file of an artefact that holds the network."""


def make_artefact(
    target: str,
    graph: Graph,
    values: Mapping[str, Array],
    options: CompileOptions,
    packing: Packing,
    program: Mapping[str, Any],
    code: Mapping[str, bytes],
    **metadata: str,
) -> Artefact:
    """The artefact of a graph; `values` are the arrays of the network's parameters by name.

    `program` and `code` are what NativeModule needs, and what else its subclass does; `metadata`
    is added to that of the options.
    """
    inputs, outputs = graph_ports(graph, options.batch)
    source = to_json(options.source or graph)
    return Artefact(
        target,
        inputs,
        outputs,
        {**options.metadata, **metadata},
        {"batch": options.batch or 1, **program},
        {**code, GRAPH: json.dumps(source, separators=(",", ":"), allow_nan=False).encode()},
        packing,
        packing.evaluate(values),
    )


class NativeModule(Module):
    """A module that is made of an artefact, which it can write. Subclasses implement `run`.

    It can be copied and pickled: KEPT are the attributes that do not follow from the artefact.

    The program of the artefact has the batch, the arena's bytes, and the layers.

    `build` is how it was made, if this process did. Raises ValueError, KeyError or TypeError for
    an artefact whose program has not the batch of all its ports.
    """

    KEPT: tuple[str, ...] = ("build", "warnings")

    def __init__(self, artefact: Artefact):
        super().__init__(artefact.inputs, artefact.outputs, artefact.metadata)
        self._artefact = replace(artefact, weights=as_aligned(artefact.weights))
        self._batch = int(artefact.program["batch"])
        batches = {port.batch or 1 for port in (*self.inputs, *self.outputs)}
        if any(port.type.is_open for port in (*self.inputs, *self.outputs)):
            raise ValueError("its sizes are open")
        if batches != {self._batch} or not self.inputs or not self.outputs:
            raise ValueError("its inputs and outputs are not those of its program")
        self.arena_bytes = int(artefact.program["arena"])
        self.layers = tuple(
            Layer(**{**row, "shape": tuple(row["shape"])}) for row in artefact.program["layers"]
        )
        self.build: Build | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._artefact,), {name: getattr(self, name) for name in self.KEPT}

    @property
    def artefact(self) -> Artefact:
        """What it is made of."""
        return self._artefact

    @property
    def graph(self) -> Graph:
        """The network before the passes of this target."""
        return from_json(json.loads(self._artefact.code[GRAPH]))

    @property
    def weight_bytes(self) -> int:
        """Memory of the packed weights."""
        return self._artefact.weights.nbytes

    @property
    def facts(self) -> dict[str, int | str]:
        """See `Module`."""
        return {**super().facts, "arena_bytes": self.arena_bytes, "steps": len(self.layers)}

    def sizes(self) -> list[Size]:
        """See `cnndsl.runtime.sizes.Sized`."""
        packing = self._artefact.packing
        entries = packing.entries.items()
        weights = [Size("weights", name, weight.bytes) for name, (weight, _) in entries]
        recipe = len(json_bytes(recipe_of(packing)))
        return [*weights, *self._code_sizes(), Size("files", RECIPE, recipe)]

    def _code_sizes(self) -> list[Size]:
        """Those of the artefact's code files."""
        return [Size("files", name, len(text)) for name, text in self._artefact.code.items()]

    def batch_shape(self, port: Port) -> tuple[int, ...]:
        """The shape of one batch of an input or output as the kernels are made for it.

        What is one for all samples has no batch axis.
        """
        sizes = tuple(n for n in port.type.shape if isinstance(n, int))
        return (self._batch, *sizes) if port.type.batched else sizes

    def _empty_results(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        count = len(next(iter(arrays.values())))
        shapes = {port.name: self.batch_shape(port) for port in self.outputs}
        for port in self.outputs:
            if port.type.batched:
                shapes[port.name] = (count, *shapes[port.name][1:])
        return self._new_arrays(shapes)

    def _new_arrays(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        return {name: np.empty(shape, np.float32) for name, shape in shapes.items()}

    def _batches(self, *ports: Mapping[str, Array]) -> Iterator[list[dict[str, Array]]]:
        """Parts of arrays by name, one batch after the other; without a fixed one, of a sample.

        What is one for all samples is given whole: the batch is fixed then.
        """
        whole = {port.name for port in self.outputs if not port.type.batched}
        for start in range(0, len(next(iter(ports[0].values()))), self._batch):
            part = slice(start, start + self._batch)
            yield [
                {name: a if name in whole else a[part] for name, a in arrays.items()}
                for arrays in ports
            ]

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `Module`."""
        packing = self._artefact.packing
        bound = bind(packing.parameters(), read_weights(weights, None), seed=None)
        self._artefact = replace(self._artefact, weights=packing.evaluate(bound.values))
        self.warnings = bound.warnings
        warn_of(bound)

    def refill(self, numbers: Array, views: Mapping[str, Array]) -> Refill:
        """What writes the numbers of parameters, as they are then, into the packed weights.

        `views` are those parts of `numbers` that each parameter has; see `Refill`.
        """
        own = self._artefact
        if not own.weights.flags.writeable:
            own = replace(own, weights=as_aligned(own.weights.copy()))
        self._artefact = own
        return Refill(own.packing, own.weights, numbers, views)

    def save(self, path: str | Path) -> None:
        """Write a `.cnnmod` file, atomically; equal modules give equal bytes."""
        write_artefact(path, self._artefact)
