"""Every network of the zoo compiled for a target, and compared; the published ones first.

    python -m benchmarks.zoo [--target cpu] [--batch 8] [--only 'resnet*'] [--json FILE [--resume]]

Small networks are compared with numpy in float64, straight from the network as written; larger
ones with their ONNX model at -O0, run without onnxruntime's own optimiser. Where a module takes
other sizes, it is compared at another size too. Differences are relative to the
largest number of the output; of a softmax, its operand is compared. The weights are random, with
statistics of batch normalisation that fit them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console
from rich.progress import track

import cnndsl
from benchmarks.passes import at_size
from benchmarks.weights import calibrated_weights
from cnndsl.analysis.cost import graph_cost
from cnndsl.backends.numpy.run import run_graph
from cnndsl.backends.onnx.module import OnnxModule
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Softmax
from cnndsl.language.loader import concrete_networks
from cnndsl.passes.pipeline import inference_graph
from cnndsl.runtime.backend import backend, option_names
from cnndsl.runtime.files import atomic_write
from cnndsl.runtime.layers import Layered
from cnndsl.runtime.module import Array, Module

Arrays = Mapping[str, Array]
Run = Callable[[Arrays], Arrays]

TOLERANCE = 1e-5
WINOGRAD_TOLERANCE = 1e-4
"""For modules with a convolution by Winograd's algorithm, whose transforms round."""
SMALL = 500_000_000
"""Multiply-adds up to which a network is compared with numpy."""
CALIBRATED_AT = 128
"""Largest map on which the statistics of larger networks are measured."""
FACTS = (
    Path(__file__).parents[1] / "tests" / "data" / "networks.json",
    Path(__file__).parents[1] / "networks" / "facts.json",
)
"""The published networks, and those of the zoo that stand for one under another name."""


@dataclass(frozen=True)
class Comparison:
    """Relative differences of a module's outputs, and what they may be.

    `resized` is that at another size, or None if the network takes no other. `rounding` is what
    one rounding step of the inputs does to the outputs, measured where a difference is above the
    tolerance: much, if the network magnifies every rounding error.
    """

    network: str
    macs: int
    against: str
    declared: float
    resized: float | None
    rounding: float | None
    tolerance: float
    seconds: float

    @property
    def fine(self) -> bool:
        """No difference is above the tolerance, or ten times what rounding the inputs does."""
        limit = max(self.tolerance, 10 * (self.rounding or 0))
        return all(found <= limit for found in (self.declared, self.resized or 0))


def compare(network: cnndsl.Network, target: str = "onnx", batch: int | None = None) -> Comparison:
    """Compile a network of the zoo for a target and run it. Raises CnnError."""
    start = time.perf_counter()
    macs = graph_cost(network.graph).macs or 0
    small = macs <= SMALL
    weights = calibrated_weights(network.graph if small else _shrunk(network).graph)
    axes = _open_axes(network) if "dynamic" in option_names(backend(target)) else None
    module = cnndsl.compile(network, target, weights=weights, batch=batch, dynamic=axes)
    tolerance = _tolerance(module)
    inputs = [_random_inputs(shapes, batch or 1) for shapes in _shapes(network.graph, module)]
    found = [module.run(arrays) for arrays in inputs]
    del module
    reference = _numpy(network.name, weights) if small else _unoptimised(network, weights, axes)
    expected = [reference(arrays) for arrays in inputs]
    differences = [
        relative_difference(network.graph, *pair) for pair in zip(found, expected, strict=True)
    ]
    rounding = None
    if not all(difference <= tolerance for difference in differences):
        rounded = reference({name: _one_step(array) for name, array in inputs[0].items()})
        rounding = relative_difference(network.graph, rounded, expected[0])
    return Comparison(
        network.name,
        macs,
        "numpy" if small else "-O0",
        differences[0],
        differences[1] if len(differences) > 1 else None,
        rounding,
        tolerance,
        time.perf_counter() - start,
    )


def _tolerance(module: Module) -> float:
    layers = module.layers if isinstance(module, Layered) else ()
    by_winograd = any(layer.family == "winograd" for layer in layers)
    return WINOGRAD_TOLERANCE if by_winograd else TOLERANCE


def _shrunk(network: cnndsl.Network) -> cnndsl.Network:
    """A network of the zoo for smaller inputs, if it has the same parameters for them."""
    smaller = at_size(network.name, CALIBRATED_AT)
    same = smaller.graph.parameters() == network.graph.parameters()
    return smaller if same else network


def relative_difference(graph: Graph, found: Arrays, expected: Arrays) -> float:
    """The largest difference in any output, relative to its largest number; NaN if one has NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = [(_scores(graph, name, found), _scores(graph, name, expected)) for name in expected]
        ratios = [np.abs(ours - theirs).max() / np.abs(theirs).max() for ours, theirs in pairs]
    return float(np.max(ratios))


def _scores(graph: Graph, name: str, arrays: Arrays) -> Array:
    """An output; of a softmax, what went into it less the mean over the channels."""
    array = arrays[name].astype(np.float64)
    if not isinstance(graph[graph.outputs[name]].op, Softmax):
        return array
    logarithms = np.log(array)
    centred: Array = logarithms - logarithms.mean(axis=1, keepdims=True)
    return centred


def _numpy(name: str, weights: Arrays) -> Run:
    """The network in float64, parsed for the very shapes of the inputs."""

    def run(inputs: Arrays) -> Arrays:
        shapes = {port: array.shape[1:] for port, array in inputs.items()}
        graph = cnndsl.parse(name, input_shapes=shapes).graph
        return run_graph(inference_graph(graph), weights, inputs)

    return run


def _open_axes(network: cnndsl.Network) -> tuple[str, ...] | None:
    """The axes that the network leaves open, all or none."""
    axes = ("depth", "height", "width", "length")
    try:
        network.open_graph(axes)
    except CnnError:
        return None
    return axes


def _unoptimised(network: cnndsl.Network, weights: Arrays, axes: tuple[str, ...] | None) -> Run:
    module = cnndsl.compile(network, weights=weights, level=0, dynamic=axes)
    assert isinstance(module, OnnxModule)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = ["CPUExecutionProvider"]
    module.session = onnxruntime.InferenceSession(module.serialized, options, providers=providers)
    return module.run


def _shapes(graph: Graph, module: Module) -> list[dict[str, tuple[int, ...]]]:
    """The declared shapes; then, if the module takes others, about three quarters of them."""
    declared, smaller = {}, {}
    for port in module.inputs:
        sizes = tuple(n for n in graph[port.name].type.shape if isinstance(n, int))
        declared[port.name] = sizes
        smaller[port.name] = tuple(
            size if isinstance(dim, int) else _next_size(dim, 3 * size // 4 + axis)
            for axis, (size, dim) in enumerate(zip(sizes, port.type.shape, strict=True))
        )
    return [declared] if smaller == declared else [declared, smaller]


def _next_size(dim: OpenDim, least: int) -> int:
    """The first size from there on that an open axis takes."""
    return next(size for size in count(least) if dim.solve(size) is not None)


def _random_inputs(shapes: Mapping[str, tuple[int, ...]], batch: int) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {n: rng.normal(size=(batch, *shape)).astype(np.float32) for n, shape in shapes.items()}


def _one_step(array: Array) -> Array:
    """Each number rounded up or down by one step."""
    towards = np.random.default_rng(2).choice([-np.inf, np.inf], array.shape)
    stepped: Array = np.nextafter(array, towards.astype(array.dtype))
    return stepped


def networks(pattern: str) -> list[str]:
    """The names of the zoo that match and need no arguments; the published ones first."""
    facts, aliases = (json.loads(path.read_text("utf-8")) for path in FACTS)
    published = {entry["name"] for entry in facts["networks"]} | aliases["names"].keys()
    names = [name for name in concrete_networks(cnndsl.zoo()) if fnmatchcase(name, pattern)]
    return sorted(names, key=lambda name: (name not in published, name))


def line(row: Comparison) -> str:
    """A network's figures, a miss marked."""
    figures = (row.declared, row.resized, row.rounding)
    cells = "  ".join(f"{'' if n is None else f'{n:.1e}':>8}" for n in figures)
    text = f"{row.network:34} {row.macs / 1e9:7.3f}  {row.against:7}  {cells}  {row.seconds:8.1f}"
    return text if row.fine else f"{text}  different"


def table(comparisons: Sequence[Comparison], problems: Mapping[str, str]) -> str:
    """One line for each network, and a summary."""
    lines = [f"{'network':34} {'GMAC':>7}  against  declared   resized  rounding   seconds"]
    lines += [line(row) for row in comparisons]
    lines += [f"{name:34} {problem}" for name, problem in problems.items()]
    fine = sum(row.fine for row in comparisons)
    return "\n".join([*lines, f"{fine} of {len(comparisons) + len(problems)} networks agree"])


def _read(path: Path) -> tuple[list[Comparison], dict[str, str]]:
    """What `_write` has written; nothing if there is no file."""
    if not path.exists():
        return [], {}
    found = json.loads(path.read_text("utf-8"))
    names = [field.name for field in fields(Comparison)]
    rows = [Comparison(**{name: row[name] for name in names}) for row in found["networks"]]
    return rows, found["problems"]


def _write(path: Path, comparisons: Sequence[Comparison], problems: Mapping[str, str]) -> None:
    rows = [asdict(row) | {"fine": row.fine} for row in comparisons]
    with atomic_write(path) as file:
        file.write(json.dumps({"networks": rows, "problems": problems}, indent=1).encode())


def main() -> None:
    """Print the table; exit 1 if a network cannot be compiled or run, or differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="such as 'resnet*'")
    parser.add_argument("--target", default="onnx", help="such as cpu")
    parser.add_argument("--batch", type=int, help="compile for so many samples at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as they come")
    parser.add_argument("--resume", action="store_true", help="keep the figures of the file")
    given = parser.parse_args()
    console = Console(stderr=True)
    names = networks(given.only)
    if not names:
        parser.error(f"no network is called {given.only}")
    comparisons, problems = _read(given.json) if given.resume and given.json else ([], {})
    known = {row.network for row in comparisons}
    names = [name for name in names if name not in known]
    quiet = not console.is_terminal
    for name in track(names, "networks", console=console, transient=True, disable=quiet):
        problems.pop(name, None)
        try:
            comparisons.append(compare(cnndsl.parse(name), given.target, given.batch))
        except CnnError as error:
            problems[name] = error.diagnostics[0].message
        if given.json:
            _write(given.json, comparisons, problems)
        if quiet:
            print(problems.get(name) or line(comparisons[-1]), file=sys.stderr, flush=True)
    print(table(comparisons, problems))
    raise SystemExit(0 if not problems and all(row.fine for row in comparisons) else 1)


if __name__ == "__main__":
    main()
