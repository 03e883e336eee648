"""`cnndsl compare`: where targets compute something else, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    OF_THE_WHOLE,
    code_options,
    load_network,
    network_options,
    random_weights,
    weights_options,
)
from cnndsl.cli.numbers import Finite
from cnndsl.cli.parameters import NamedPath, Names
from cnndsl.cli.passes import level_options
from cnndsl.cli.photos import image_option, photo_options, refuse_without_photos
from cnndsl.cli.precision import calibration_options
from cnndsl.cli.run import Files, read_inputs
from cnndsl.cli.terminal import print_json, print_table, progress_bar, show
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.api import Network
    from cnndsl.measure.comparison import Candidates, Comparison
    from cnndsl.runtime.module import Array

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
@click.option("--tolerance", type=Finite(0), help="1e-4; 1e-5 with --winograd off.")
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
    from cnndsl.measure.targets import usual_tolerance

    if not images:
        refuse_without_photos(photo)
    options = random_weights(options)
    if len(set(targets)) < len(targets):
        raise click.UsageError("a target is given twice")
    parsed = load_network(network, settings, input_shapes)
    found = _candidates(parsed, targets, options)
    arrays = _arrays(found, inputs, (images, photo), options)
    result = compare(found, arrays, usual_tolerance(targets, options, tolerance))
    shown = result.worst(WORST) if layers == "worst" else result
    if as_json:
        print_json({**result.data(), "rows": shown.data()["rows"]})
    else:
        _print_rows(shown)
        for line in result.remarks():
            click.echo(line)
    return 1 if result.first_divergences() else 0


def _candidates(network: Network, targets: Sequence[str], options: Mapping[str, Any]) -> Candidates:
    from cnndsl.measure.targets import on_targets

    with progress_bar() as progress:
        found, bound = on_targets(network, targets, {**options, "progress": progress})
    show(bound.warnings)
    return found


def _arrays(
    found: Candidates,
    files: Files,
    photos: tuple[Files, Mapping[str, Any]],
    options: Mapping[str, Any],
) -> dict[str, Array]:
    """The inputs that were given, or random ones, as modules run them."""
    from cnndsl.measure.targets import random_inputs

    given = read_inputs(found.written, files, *photos)
    return found.written.batched(**given)[0] if given else random_inputs(found, options)


def _print_rows(result: Comparison) -> None:
    from cnndsl.measure.tables import errors

    found = errors(result.data())
    print_table([found.head, *found.rows], numbers=tuple(found.numbers))
