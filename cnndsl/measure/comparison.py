"""The values of a network's nodes on several targets, side by side."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.quantisation import Quantisation
from cnndsl.ir.text import operator_text
from cnndsl.measure.shown import comparison_html, comparison_text
from cnndsl.notebook.rich import Rich
from cnndsl.passes.pipeline import DEFAULT_LEVEL, inference_graph, optimise
from cnndsl.quantise.precision import Codes, on_codes, on_halves
from cnndsl.runtime.backend import Calibrating, backend, option_names
from cnndsl.runtime.layers import Traceable
from cnndsl.runtime.module import Array, Module

if TYPE_CHECKING:
    from cnndsl.api import Network

ORACLE = "float64"
"""What a network in low precision is compared with."""
SMALLEST = 1e-30
"""What a number that errors are relative to is taken for at least."""


@dataclass(frozen=True)
class Error:
    """How far a tensor is from what is wanted.

    `relative` is the largest difference relative to the largest number that is wanted. `local` is
    the largest of the differences each relative to the number itself, or to the median size of
    the numbers that are not 0 where that is larger: it also sees errors among small numbers beside
    a few large ones. `snr` is the signal-to-noise ratio in dB, 10 log10(sum wanted^2 / sum
    difference^2), None without a difference.
    """

    relative: float
    local: float
    snr: float | None


@dataclass(frozen=True)
class Row:
    """A node, or an output of the network, and each target's error by name."""

    name: str
    op: str
    shape: tuple[int, ...]
    errors: Mapping[str, Error]


@dataclass(frozen=True)
class Comparison(Rich):
    """All rows in the order of computation, outputs last.

    The first of the `targets` is right where the `precision` is f32, else float64 is.
    """

    rows: tuple[Row, ...]
    tolerance: float
    network: str = ""
    targets: tuple[str, ...] = ()
    precision: str = "f32"

    def worst(self, count: int) -> Comparison:
        """The rows of the least signal-to-noise ratio on any target, the least first."""

        def loss(row: Row) -> float:
            ratios = [error.snr for error in row.errors.values() if error.snr is not None]
            return min(ratios, default=math.inf)

        return replace(self, rows=tuple(sorted(self.rows, key=loss)[:count]))

    def first_divergences(self) -> dict[str, Row]:
        """For each target out of tolerance the first row where it is."""
        found: dict[str, Row] = {}
        for row in self.rows:
            for target, error in row.errors.items():
                if not error.relative <= self.tolerance:
                    found.setdefault(target, row)
        return found

    def remarks(self) -> list[str]:
        """Where each target leaves the tolerance, in words."""
        return [
            f"{target} diverges first at {'output ' if row.op == 'output' else ''}{row.name}"
            for target, row in self.first_divergences().items()
        ]

    def data(self) -> dict[str, Any]:
        """Everything as plain data, which `cnndsl compare --json` writes."""
        return {
            "network": self.network,
            "targets": list(self.targets),
            "precision": self.precision,
            "tolerance": self.tolerance,
            "rows": [
                {
                    "name": row.name,
                    "op": row.op,
                    "shape": list(row.shape),
                    "errors": {target: e.relative for target, e in row.errors.items()},
                    "local_errors": {target: e.local for target, e in row.errors.items()},
                    "snr_db": {target: e.snr for target, e in row.errors.items()},
                }
                for row in self.rows
            ],
            "first_divergences": {t: row.name for t, row in self.first_divergences().items()},
        }

    def _repr_html_(self) -> str:
        return comparison_html(self.data(), self.remarks())

    def _repr_text_(self) -> str:
        return comparison_text(self.data(), self.remarks())


@dataclass(frozen=True)
class Candidates:
    """One optimised graph, compiled for each target; the first one is the oracle.

    `written` is the network as it is written, with no pass but what inference means, on the
    oracle's target. `codes` tells what the codes of nodes stand for, where targets compute on them.
    """

    graph: Graph
    modules: Mapping[str, Module]
    written: Module
    precision: str = "f32"
    codes: Mapping[str, Quantisation] = field(default_factory=dict)


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
    have one value. `values` are the parameters by name, `options` go to the targets that have them,
    a `precision` not to the oracle; those with a choice compute in float64. Raises CnnError.
    """
    fusions = {name for target in targets for name in backend(target).fusions}
    graph, _ = optimise(network.graph, level, disable=disable, fusions=fusions)
    oracle, *others = targets
    exact = {name: value for name, value in options.items() if name != "precision"}
    written = _compiled(network, oracle, inference_graph(network.graph), values, exact)
    modules = {oracle: _compiled(network, oracle, graph, values, exact)}
    modules |= {target: _compiled(network, target, graph, values, options) for target in others}
    return Candidates(graph, modules, written)


def low_precision_candidates(
    network: Network,
    targets: Sequence[str],
    values: Mapping[str, Array],
    *,
    level: int = DEFAULT_LEVEL,
    disable: Collection[str] = (),
    calibration: Codes | str | None = None,
    keep_float: Sequence[str] = (),
    min_snr: float | None = None,
    **options: Any,
) -> Candidates:
    """Compile a network in a `precision` other than f32 for several targets.

    The oracle is the same graph in float64, on the target `reference`. Raises CnnError as
    `cnndsl.compile` does.
    """
    precision = options["precision"]
    if precision == "int8":
        exact, graph = on_codes(
            network.graph,
            calibration,
            level=level,
            disable=disable,
            keep_float=keep_float,
            min_snr=min_snr,
        )
    else:
        exact, _ = optimise(network.graph, level, disable=disable, fusions=())
        graph = on_halves(network.graph, exact, precision)
    single = {**options, "dtype": "float32"}
    double = {name: value for name, value in options.items() if name != "precision"}
    modules = {ORACLE: _compiled(network, "reference", exact, values, double)}
    modules |= {t: _compiled(network, t, graph, values, single) for t in targets}
    written = _compiled(network, "reference", inference_graph(network.graph), values, double)
    formats = {node.name: node.type.quantisation for node in graph.nodes()}
    codes = {name: q for name, q in formats.items() if q is not None}
    return Candidates(exact, modules, written, precision, codes)


def _compiled(
    network: Network,
    target: str,
    source: Graph,
    values: Mapping[str, Array],
    options: Mapping[str, Any],
) -> Module:
    chosen = backend(target)
    own = {name: value for name, value in options.items() if name in option_names(chosen)}
    if "dtype" in option_names(chosen):
        own.setdefault("dtype", "float64")
    settings = chosen.options(metadata=network.metadata(target), **own)
    return chosen.compile(source, values, settings)


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
            {t: error_of(_numbers(found, name, traces[t][name]), wanted) for t in others},
        )
        for name, wanted in traces[oracle].items()
        if name in found.graph and all(name in trace for trace in traces.values())
    ]
    results = {target: module.run(arrays) for target, module in found.modules.items()}
    for name, wanted in found.written.run(arrays).items():
        errors = {target: error_of(made[name], wanted) for target, made in results.items()}
        rows.append(Row(name, "output", wanted.shape, errors))
    named = tuple(others if found.precision != "f32" else found.modules)
    return Comparison(tuple(rows), tolerance, found.graph.name, named, found.precision)


def _numbers(found: Candidates, name: str, made: Array) -> Array:
    """What the result of a node stands for."""
    is_code = made.dtype == np.uint8 and name in found.codes
    return found.codes[name].decode(made) if is_code else made


def _trace(module: Module, arrays: Mapping[str, Array]) -> dict[str, Array]:
    if not isinstance(module, Traceable):
        target = module.metadata["target"]
        raise CnnError.of("E0733", f"the target {target} does not show the values of its layers")
    return module.trace(arrays)


def error_of(actual: Array, wanted: Array) -> Error:
    """The error of a tensor; infinite where only one of both is a number."""
    numbers = np.isfinite(wanted)
    if actual.shape != wanted.shape or not np.array_equal(numbers, np.isfinite(actual)):
        return Error(float("inf"), float("inf"), float("-inf"))
    sizes = np.abs(wanted[numbers]).astype(np.float64)
    difference = np.abs(actual[numbers].astype(np.float64) - wanted[numbers])
    noise = float((difference**2).sum())
    if not noise:
        return Error(0.0, 0.0, None)
    some = sizes[sizes > 0]
    usual = max(np.median(some) if some.size else 0.0, SMALLEST)
    signal = max(float((sizes**2).sum()), SMALLEST**2)
    return Error(
        float(difference.max() / sizes.max(initial=SMALLEST)),
        float((difference / np.maximum(sizes, usual)).max()),
        10 * math.log10(signal / noise),
    )


def calibrated(graph: Graph, values: Mapping[str, Array], seed: int) -> Mapping[str, Array]:
    """Starting weights with which the layers of an inference graph make values of unit size.

    Its sizes are known. It is run once, on a random input.
    """
    reference = backend("reference")
    if not isinstance(reference, Calibrating):
        return values
    random = np.random.default_rng(seed)
    inputs = {}
    for name in graph.inputs:
        sizes = [size for size in graph[name].type.shape if isinstance(size, int)]
        inputs[name] = random.standard_normal((1, *sizes), np.float32)
    return reference.calibrated(graph, values, inputs)
