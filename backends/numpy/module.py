"""The reference module: a graph with its arrays, run by numpy, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cnndsl.backends.numpy.artefact import write_artefact
from cnndsl.backends.numpy.run import evaluate_params, outputs_of, run_nodes
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array, Module, graph_ports
from cnndsl.weights.bind import bind, warn_of
from cnndsl.weights.rename import read_weights


class ReferenceModule(Module):
    """Runs the graph as it is, in float32 or float64, on one thread besides the BLAS."""

    def __init__(
        self,
        graph: Graph,
        values: Mapping[str, Array],
        metadata: Mapping[str, str],
        *,
        dtype: str = "float32",
        batch: int | None = None,
    ):
        super().__init__(*graph_ports(graph, batch), metadata)
        self.graph = graph
        self.values = dict(values)
        self.dtype = dtype
        self.batch = batch
        self._params = evaluate_params(graph, values, dtype)

    def number_format(self, name: str) -> str:
        """See `Module`."""
        return self.dtype

    def set_weights(self, weights: str | Path | Mapping[str, Array]) -> None:
        """See `Module`."""
        bound = bind(self.graph.parameters(), read_weights(weights, None), seed=None)
        self._params = evaluate_params(self.graph, bound.values, self.dtype)
        self.values, self.warnings = bound.values, bound.warnings
        warn_of(bound)

    @property
    def weight_bytes(self) -> int:
        """Memory of the parameters of all nodes, computed."""
        parts = (part for parts in self._params.values() for part in parts)
        return sum(array.nbytes for part in parts for array in part.values())

    @property
    def facts(self) -> dict[str, int | str]:
        """See `Module`."""
        return {**super().facts, "dtype": self.dtype, "nodes": len(self.graph)}

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs from batched, checked arrays by input name."""
        kept = self.graph.outputs.values()
        results = run_nodes(self.graph, self._params, arrays, self.dtype, kept)
        return outputs_of(self.graph, results)

    def trace(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """See `cnndsl.runtime.layers.Traceable`."""
        names = [node.name for node in self.graph.nodes()]
        return run_nodes(self.graph, self._params, arrays, self.dtype, names)

    def save(self, path: str | Path) -> None:
        """Write a `.cnnref` file, atomically; equal modules give equal bytes."""
        settings = {"dtype": self.dtype, "batch": self.batch, "metadata": self.metadata}
        write_artefact(path, self.graph, self.values, settings)
