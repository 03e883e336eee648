"""`cnndsl compare`: where targets compute something else, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    OF_THE_WHOLE,
    NamedPath,
    Names,
    code_options,
    load_network,
    network_options,
    print_json,
    print_table,
    progress_bar,
    random_weights,
    show,
    weights_options,
)
from cnndsl.cli.passes import level_options
from cnndsl.cli.photos import image_option, photo_options
from cnndsl.cli.precision import calibration_options
from cnndsl.cli.run import Files, read_inputs
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.api import Network
    from cnndsl.measure.comparison import Candidates, Comparison, Row
    from cnndsl.runtime.module import Array

TOLERANCE, TOLERANCE_WITHOUT_WINOGRAD = 1e-4, 1e-5
TOLERANCE_OF_LOW_PRECISION = 1.0
WORST = 10
"""Layers that `--layers worst` shows."""


@click.command(
    "compare",
    cls=Verb,
    examples=(
        "compare resnet50 --targets reference,onnx,cpu",
        "compare my_net.cnn --weights my_net.pth --image photo.jpg",
        "compare my_net.cnn --targets reference,onnx --precision int8 --calibration"
        " my_net.calibration --layers worst",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@click.option(
    "--targets",
    shell_complete=completion.targets,
    type=Names(),
    default="reference,onnx,cpu",
    show_default=True,
    help="The first is right.",
)
@click.option("--tolerance", type=click.FloatRange(0), help="1e-4; 1e-5 with --winograd off.")
@click.option(
    "--layers",
    type=click.Choice(["all", "worst"]),
    default="all",
    show_default=True,
    help=f"The {WORST} of the least signal-to-noise ratio, or all.",
)
@click.option("--input", "inputs", type=NamedPath(), multiple=True, help="An .npy or .npz file.")
@image_option
@photo_options
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@calibration_options
@partial(code_options, without=OF_THE_WHOLE)
@level_options
@weights_options
@network_options
def command(
    network: str,
    targets: Sequence[str],
    tolerance: float | None,
    layers: str,
    inputs: Files,
    images: Files,
    photo: Mapping[str, Any],
    as_json: bool,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    **options: Any,
) -> int:
    """Compare the values of all layers on several targets; exit 1 if they differ too much.

    Errors are relative to the largest number of a tensor; "local" ones to the number itself, or
    to the median; dB is the signal-to-noise ratio. Weights and inputs are random by default,
    from --seed. With --precision int8, f16 or bf16 all targets are compared with float64.
    """
    from cnndsl.measure.comparison import compare

    options = random_weights(options)
    if tolerance is None:
        tolerance = _tolerance(options, targets)
    parsed = load_network(network, settings, input_shapes)
    found = _candidates(parsed, targets, options)
    arrays = _arrays(found, inputs, (images, photo), options)
    result = compare(found, arrays, tolerance)
    divergences = result.first_divergences()
    if layers == "worst":
        result = result.worst(WORST)
    if as_json:
        _print_json(parsed, targets, result)
    else:
        _print_rows(targets, result)
        for target, row in divergences.items():
            click.echo(f"{target} diverges first at {_place(row)}")
    return 1 if divergences else 0


def _is_low(options: Mapping[str, Any], targets: Sequence[str]) -> bool:
    """Whether the graph is another one: all targets get that, and none is right."""
    from cnndsl.runtime.backend import backend

    return any(options["precision"] in backend(target).options.in_graph for target in targets)


def _tolerance(options: Mapping[str, Any], targets: Sequence[str]) -> float:
    if _is_low(options, targets):
        return TOLERANCE_OF_LOW_PRECISION
    return TOLERANCE if options["winograd"] is not False else TOLERANCE_WITHOUT_WINOGRAD


def _candidates(network: Network, targets: Sequence[str], options: Mapping[str, Any]) -> Candidates:
    from cnndsl.measure.comparison import calibrated, candidates, low_precision_candidates
    from cnndsl.memory import require_known_sizes
    from cnndsl.passes.pipeline import inference_graph
    from cnndsl.quantise.precision import refuse_for_others
    from cnndsl.runtime.backend import all_options, given_options
    from cnndsl.weights.bind import bind

    asked = given_options(targets, {n: options[n] for n in all_options() if n in options})
    require_known_sizes(network.graph)
    arrays = network.arrays(options["weights"], options["weights_map"])
    graph = inference_graph(network.graph)
    bound = bind(graph.parameters(), arrays, seed=options["seed"])
    values = bound.values if arrays else calibrated(graph, bound.values, options["seed"])
    show(bound.warnings)
    passes = {name: options[name] for name in ("level", "disable")}
    codes = {name: options[name] for name in ("calibration", "keep_float", "min_snr")}
    refuse_for_others(asked.get("precision", "f32"), *codes.values())
    with progress_bar() as progress:
        common = {"progress": progress, **passes, **asked}
        if _is_low(options, targets):
            return low_precision_candidates(network, targets, values, **codes, **common)
        return candidates(network, targets, values, **common)


def _arrays(
    found: Candidates,
    files: Files,
    photos: tuple[Files, Mapping[str, Any]],
    options: Mapping[str, Any],
) -> dict[str, Array]:
    """The inputs that were given, or random ones, as modules run them."""
    import numpy as np

    from cnndsl.measure.models import input_shapes

    given = read_inputs(found.written, files, *photos)
    if not given:
        random = np.random.default_rng(options["seed"])
        shapes = input_shapes(found.written, options["batch"])
        given = {n: random.standard_normal(shape, np.float32) for n, shape in shapes.items()}
    return found.written.batched(**given)[0]


def _place(row: Row) -> str:
    return f"{'output ' if row.op == 'output' else ''}{row.name}"


def _print_json(network: Network, targets: Sequence[str], result: Comparison) -> None:
    divergences = result.first_divergences()
    print_json(
        {
            "network": network.name,
            "targets": list(targets),
            "tolerance": result.tolerance,
            "rows": [
                {
                    "name": row.name,
                    "op": row.op,
                    "shape": list(row.shape),
                    "errors": {target: e.relative for target, e in row.errors.items()},
                    "local_errors": {target: e.local for target, e in row.errors.items()},
                    "snr_db": {target: e.snr for target, e in row.errors.items()},
                }
                for row in result.rows
            ],
            "first_divergences": {target: row.name for target, row in divergences.items()},
        }
    )


def _print_rows(targets: Sequence[str], result: Comparison) -> None:
    """The table; what is out of tolerance is marked by !."""

    def cells(row: Row, target: str) -> list[str]:
        if target not in row.errors:
            return ["", "", ""]
        error = row.errors[target]
        mark = " " if error.relative <= result.tolerance else "!"
        snr = "" if error.snr is None else f"{error.snr:.0f}"
        return [f"{error.relative:.1e}{mark}", f"{error.local:.1e}", snr]

    rows = [
        [row.name, row.op, "x".join(map(str, row.shape)), *chain(*(cells(row, t) for t in targets))]
        for row in result.rows
    ]
    figures = chain(*([f"{target} ", "local", "dB"] for target in targets))
    head = ["layer", "operator", "shape", *figures]
    print_table([head, *rows], numbers=range(3, len(head)))
