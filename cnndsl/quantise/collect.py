"""Calibration: a float32 module runs on samples, and the values of all tensors are counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Dequantise, Input, Quantise, Quantised
from cnndsl.ir.types import TensorType
from cnndsl.quantise.calibration import Calibration, Measured, structure_hash
from cnndsl.quantise.clipping import clipped
from cnndsl.quantise.convert import quantised, scales_of
from cnndsl.quantise.equalise import equalisable, equalise
from cnndsl.quantise.ranges import DEFAULT_METHOD, METHODS, Histogram, codes_for
from cnndsl.runtime.backend import backend
from cnndsl.runtime.layers import Traceable
from cnndsl.runtime.module import Array
from cnndsl.runtime.options import Progress, silent, wrong

JUDGED = 4
"""Samples on which the cost of codes is measured, and by which ranges are clipped."""
PEEKED = 32
"""Samples whose peaks tell how to equalise layers."""

Batches = Iterable[Mapping[str, Array]]


@dataclass(frozen=True)
class Settings:
    """How to calibrate. `method` names one of METHODS; see `Calibration` for the others.

    Raises CnnError (E0615) for a method that there is not.
    """

    method: str = DEFAULT_METHOD
    level: int = 2
    equalised: bool = True
    corrected: bool = True
    symmetric: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise wrong("method", f"one of {', '.join(METHODS)}", self.method)


def calibrate(
    graph: Graph,
    values: Mapping[str, Array],
    batches: Batches,
    samples: int,
    settings: Settings,
    progress: Progress = silent,
) -> Calibration:
    """What `batches`, arrays by input name of `samples` in all, make of a prepared graph.

    `values` are its parameters by name. Raises CnnError (E0905) without samples, or if a value is
    not finite.
    """
    seen = {node.name: Histogram() for node in graph.nodes()}
    judged: dict[str, Array] = {}
    done = 0
    exact = graph.copy()
    left = iter(batches)
    first = _first(left) if settings.equalised else []
    peaks = _peaks(graph, values, first)
    equalise(exact, peaks)
    trace = _tracer(exact, values)
    for arrays in chain(first, left):
        results = {**arrays, **trace(arrays)}
        for name, histogram in seen.items():
            _add(histogram, name, results[name])
        if not judged:
            judged = {name: array[:JUDGED].astype(np.float32) for name, array in results.items()}
        done += len(next(iter(arrays.values())))
        progress("calibrating", done, samples)
    if not done:
        raise CnnError.of("E0905", "there are no samples to calibrate with")
    codes = {
        name: codes_for(histogram, settings.method, symmetric=settings.symmetric)
        for name, histogram in seen.items()
    }
    if METHODS[settings.method].clips:
        codes = clipped(exact, values, codes, judged, progress)
    tensors = {
        name: Measured(codes[name], _rounded(histogram.mean), peaks.get(name))
        for name, histogram in seen.items()
    }
    costs = _costs(exact, values, tensors, judged, settings.corrected)
    return Calibration(
        graph.name,
        structure_hash(graph),
        settings.method,
        done,
        settings.level,
        settings.corrected,
        {name: replace(found, snr=costs.get(name)) for name, found in tensors.items()},
    )


def _first(batches: Iterator[Mapping[str, Array]]) -> list[Mapping[str, Array]]:
    """The first batches, of PEEKED samples in all, if there are so many."""
    found: list[Mapping[str, Array]] = []
    count = 0
    for arrays in batches:
        found.append(arrays)
        count += len(next(iter(arrays.values())))
        if count >= PEEKED:
            break
    return found


def _peaks(
    graph: Graph, values: Mapping[str, Array], batches: Sequence[Mapping[str, Array]]
) -> dict[str, tuple[float, ...]]:
    """The largest value of each channel of the nodes to equalise."""
    names = equalisable(graph) if batches else []
    if not names:
        return {}
    found: dict[str, Array] = {}
    trace = _tracer(graph, values)
    for arrays in batches:
        results = trace(arrays)
        for name in names:
            x = results[name]
            largest = np.abs(x).max((0, *range(2, x.ndim)))
            found[name] = np.maximum(found.get(name, 0.0), largest)
    usable = {name: peak for name, peak in found.items() if np.isfinite(peak).all() and peak.any()}
    return {name: _rounded(peak) for name, peak in usable.items()}


def _rounded(numbers: Array) -> tuple[float, ...]:
    """As they stand in a file."""
    return tuple(float(f"{number:.4g}") for number in numbers)


def _tracer(
    graph: Graph, values: Mapping[str, Array]
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """A function from arrays by input name to the results of all nodes by name."""
    chosen = backend("onnx")
    module = chosen.compile(graph, values, chosen.options(metadata={"network": graph.name}))
    assert isinstance(module, Traceable)
    return lambda arrays: module.trace(module.batched(**arrays)[0])


def _add(histogram: Histogram, name: str, x: Array) -> None:
    try:
        histogram.add(x)
    except ValueError:
        raise CnnError.of(
            "E0905", f"{name} is not finite for a sample", hint="are these the weights and inputs?"
        ) from None


def _costs(
    graph: Graph,
    values: Mapping[str, Array],
    tensors: Mapping[str, Measured],
    results: Mapping[str, Array],
    corrected: bool,
) -> dict[str, float]:
    """The signal-to-noise ratio in dB of each node on codes, all others being exact."""
    single = _one_by_one(quantised(graph, scales_of(tensors, corrected)))
    if not single.outputs:
        return {}
    chosen = backend("reference")
    module = chosen.compile(single, values, chosen.options(metadata={"network": graph.name}))
    made = module.run({name: results[name] for name in single.inputs})
    costs = {}
    for name, array in made.items():
        wanted = results[name].astype(np.float64)
        noise = float(((array - wanted) ** 2).sum())
        if noise:
            costs[name] = 10 * math.log10(max(float((wanted**2).sum()), 1e-60) / noise)
    return costs


def _one_by_one(graph: Graph) -> Graph:
    """Each node on codes for itself, from the exact numbers of its operands to numbers."""
    result = Graph(graph.name)
    for node in list(graph.nodes()):
        if not isinstance(node.op, Quantised):
            continue
        operands = []
        for operand in graph.producers(node):
            name = operand.name.removesuffix("/codes")
            if name not in result:
                result.add(name, Input(TensorType(operand.type.shape).shape), [])
                result.inputs.append(name)
            codes = f"{name}/codes"
            if codes not in result:
                assert operand.type.quantisation is not None
                result.add(codes, Quantise(operand.type.quantisation), [result[name]])
            operands.append(result[codes])
        made = result.add(f"{node.name}/alone", node.op, operands, node.params)
        if made.type.quantisation is not None:
            made = result.add(f"{node.name}/result", Dequantise(), [made])
        result.outputs[node.name] = made.name
    return result
