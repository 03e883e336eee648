"""The values of a network's nodes on several targets, side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.text import operator_text
from cnndsl.passes.pipeline import DEFAULT_LEVEL, inference_graph, optimise
from cnndsl.runtime.backend import CompileOptions, backend
from cnndsl.runtime.layers import Traceable
from cnndsl.runtime.module import Array, Module

if TYPE_CHECKING:
    from cnndsl.api import Network

ORACLE_TYPE = {"reference": "float64"}
"""Targets that compute in more than float32."""
SMALLEST = 1e-30
"""What a tensor's largest number is taken for at least."""


@dataclass(frozen=True)
class Row:
    """A node, or an output of the network, and each target's error by name.

    An error is the largest difference from the oracle, relative to its largest number.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    errors: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """All rows in the order of computation, outputs last."""

    rows: tuple[Row, ...]
    tolerance: float

    def first_divergences(self) -> dict[str, Row]:
        """For each target out of tolerance the first row where it is."""
        found: dict[str, Row] = {}
        for row in self.rows:
            for target, error in row.errors.items():
                if not error <= self.tolerance:
                    found.setdefault(target, row)
        return found


@dataclass(frozen=True)
class Candidates:
    """One optimised graph, compiled for each target; the first one is the oracle.

    `written` is the network as it is written, with no pass but what inference means, on the
    oracle's target.
    """

    graph: Graph
    modules: Mapping[str, Module]
    written: Module


def candidates(
    network: Network,
    targets: Sequence[str],
    values: Mapping[str, Array],
    *,
    level: int = DEFAULT_LEVEL,
    disable: Collection[str] = (),
    **options: Any,
) -> Candidates:
    """Compile a network with known sizes for several targets.

    All get the same graph, with every fusion that one of them asks for, so that nodes of one name
    have one value. `values` are the parameters by name, `options` those of CompileOptions. Raises
    CnnError.
    """
    fusions = {name for target in targets for name in backend(target).fusions}
    graph, _ = optimise(network.graph, level, disable=disable, fusions=fusions)

    def compiled(target: str, source: Graph) -> Module:
        settings = CompileOptions(
            metadata=network.metadata(target),
            dtype=ORACLE_TYPE.get(target, "float32"),
            **options,
        )
        return backend(target).compile(source, values, settings)

    written = compiled(targets[0], inference_graph(network.graph))
    return Candidates(graph, {target: compiled(target, graph) for target in targets}, written)


def compare(found: Candidates, arrays: Mapping[str, Array], tolerance: float) -> Comparison:
    """Compare the nodes that all targets show, then the outputs with those of the written network.

    `arrays` are batched and checked. Raises CnnError (E0733) if a target does not show its values.
    """
    oracle, *others = found.modules
    traces = {target: _trace(module, arrays) for target, module in found.modules.items()}
    rows = [
        Row(
            name,
            operator_text(found.graph[name]),
            wanted.shape,
            {target: relative_error(traces[target][name], wanted) for target in others},
        )
        for name, wanted in traces[oracle].items()
        if name in found.graph and all(name in trace for trace in traces.values())
    ]
    results = {target: module.run(arrays) for target, module in found.modules.items()}
    for name, wanted in found.written.run(arrays).items():
        errors = {target: relative_error(made[name], wanted) for target, made in results.items()}
        rows.append(Row(name, "output", wanted.shape, errors))
    return Comparison(tuple(rows), tolerance)


def _trace(module: Module, arrays: Mapping[str, Array]) -> dict[str, Array]:
    if not isinstance(module, Traceable):
        target = module.metadata["target"]
        raise CnnError.of("E0733", f"the target {target} does not show the values of its layers")
    return module.trace(arrays)


def relative_error(actual: Array, wanted: Array) -> float:
    """max |actual - wanted| / max |wanted|; infinity where only one of both is a number."""
    numbers = np.isfinite(wanted)
    if actual.shape != wanted.shape or not np.array_equal(numbers, np.isfinite(actual)):
        return float("inf")
    difference = np.abs(actual[numbers].astype(np.float64) - wanted[numbers])
    scale = np.abs(wanted[numbers]).max(initial=SMALLEST)
    return float(difference.max(initial=0.0) / scale)
