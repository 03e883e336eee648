"""A network on several targets, and a module against other runtimes, by one call each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from cnndsl.api import parse
from cnndsl.measure.comparison import (
    Candidates,
    Comparison,
    calibrated,
    candidates,
    low_precision_candidates,
)
from cnndsl.measure.comparison import compare as compare_values
from cnndsl.measure.contest import Contest, contest
from cnndsl.measure.models import input_shapes
from cnndsl.memory import require_known_sizes
from cnndsl.network import Network
from cnndsl.passes.pipeline import DEFAULT_LEVEL, inference_graph
from cnndsl.quantise.precision import refuse_for_others
from cnndsl.runtime.backend import all_options, backend, given_options
from cnndsl.runtime.layers import Layered
from cnndsl.runtime.module import Array, Module
from cnndsl.weights.bind import Bound, bind, warn_of

TARGETS = ("reference", "onnx", "cpu")
TOLERANCE, TOLERANCE_WITHOUT_WINOGRAD = 1e-4, 1e-5
TOLERANCE_OF_LOW_PRECISION = 1.0


def bench(
    module: Module,
    against: Sequence[str] = (),
    *,
    seconds: float = 1.0,
    layers: bool | None = None,
    threads: int | None = None,
    batch: int | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Contest:
    """The time of a call of a module, of each of its layers, and its memory.

    Without `layers` these are timed where the target can run them one by one, as `cpu` does.
    Other runtimes, onnxruntime say, run the same network with the same threads, by default one for
    each core; each runs for some seconds in a process of its own. `progress` is told the share that
    is done. Raises CnnError as `contest` does.
    """
    return contest(
        module,
        against,
        batch=batch,
        threads=threads,
        seconds=seconds,
        layers=isinstance(module, Layered) if layers is None else layers,
        progress=progress,
    )


def compare(
    net: Network | str | PathLike[str],
    targets: Sequence[str] = TARGETS,
    inputs: Mapping[str, Array] | None = None,
    *,
    tolerance: float | None = None,
    weights: str | PathLike[str] | Mapping[str, Array] | None = None,
    weights_map: str | PathLike[str] | None = None,
    seed: int = 0,
    **options: Any,
) -> Comparison:
    """The errors of all layers on several targets, as `cnndsl compare` shows them.

    `inputs` are arrays by name as a module takes them, random by default, as the weights are, from
    the `seed`; the other keywords are those of `cnndsl.compile`. Raises CnnError, E0733 for a
    target that does not show its layers, and TypeError for a keyword that there is not.
    """
    unknown = [name for name in options if name not in {*PASSES, *CODES, *all_options()}]
    if unknown:
        raise TypeError(f"compare() has no option {unknown[0]!r}")
    network = net if isinstance(net, Network) else parse(net)
    asked = {"weights": weights, "weights_map": weights_map, "seed": seed, **options}
    found, bound = on_targets(network, targets, asked)
    warn_of(bound)
    given = found.written.batched(**inputs)[0] if inputs else random_inputs(found, asked)
    return compare_values(found, given, usual_tolerance(targets, asked, tolerance))


PASSES = {"level": DEFAULT_LEVEL, "disable": ()}
CODES = {"calibration": None, "keep_float": (), "min_snr": None}
"""Options of the whole and of int8, and what they are by default."""


def on_targets(
    network: Network, targets: Sequence[str], options: Mapping[str, Any]
) -> tuple[Candidates, Bound]:
    """A network compiled for several targets, and how its parameters got values.

    `options` are weights, weights_map and seed, those of PASSES and CODES, and options of targets.
    Without weights, layers make values of unit size. Raises CnnError as `cnndsl.compile` does.
    """
    asked = given_options(targets, {n: options[n] for n in all_options() if n in options})
    require_known_sizes(network.graph)
    arrays = network.arrays(options["weights"], options["weights_map"])
    graph = inference_graph(network.graph)
    bound = bind(graph.parameters(), arrays, seed=options["seed"])
    values = bound.values if arrays else calibrated(graph, bound.values, options["seed"])
    passes, codes = (
        {name: options.get(name, usual) for name, usual in group.items()}
        for group in (PASSES, CODES)
    )
    refuse_for_others(asked.get("precision", "f32"), *codes.values())
    if codes["calibration"] is None:
        codes["calibration"] = network.codes
    if _is_low(targets, options):
        found = low_precision_candidates(network, targets, values, **passes, **codes, **asked)
    else:
        found = candidates(network, targets, values, **passes, **asked)
    return found, bound


def random_inputs(found: Candidates, options: Mapping[str, Any]) -> dict[str, Array]:
    """Inputs from the seed, as modules run them."""
    random = np.random.default_rng(options["seed"])
    shapes = input_shapes(found.written, options.get("batch"))
    given = {n: random.standard_normal(shape, np.float32) for n, shape in shapes.items()}
    return found.written.batched(**given)[0]


def usual_tolerance(
    targets: Sequence[str], options: Mapping[str, Any], tolerance: float | None
) -> float:
    """The one that is given, or what is usual for how the targets compute."""
    if tolerance is not None:
        return tolerance
    if _is_low(targets, options):
        return TOLERANCE_OF_LOW_PRECISION
    return TOLERANCE if options.get("winograd") is not False else TOLERANCE_WITHOUT_WINOGRAD


def _is_low(targets: Sequence[str], options: Mapping[str, Any]) -> bool:
    """Whether the graph is another one: all targets get that, and none is right."""
    precision = options.get("precision")
    return any(precision in backend(target).options.in_graph for target in targets)
