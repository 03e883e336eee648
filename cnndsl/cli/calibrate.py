"""`cnndsl calibrate`: the ranges of all tensors on samples, for `--precision int8`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options, weights_options
from cnndsl.cli.outputs import check_output, in_folder, output_option
from cnndsl.cli.passes import level_options
from cnndsl.cli.photos import photo_options
from cnndsl.cli.run import Files
from cnndsl.cli.samples import images_option, inputs_option, read_samples, require_one_source
from cnndsl.cli.terminal import log, print_table, progress_bar, stage
from cnndsl.cli.verb import Verb
from cnndsl.quantise.ranges import DEFAULT_METHOD, METHODS

if TYPE_CHECKING:
    from cnndsl.quantise.calibration import Calibration

SHOWN = 5
"""Layers shown of those that lose most."""


@click.command(
    "calibrate",
    cls=Verb,
    examples=(
        "calibrate resnet50 --weights resnet50.safetensors --images photos/",
        "calibrate my_net.cnn --weights w.npz --input samples.npz -o my_net.calibration",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@output_option("NAME.calibration")
@images_option
@inputs_option
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default=DEFAULT_METHOD,
    show_default=True,
    help="; ".join(f"{m.name}: {m.description}" for m in METHODS.values()) + ".",
)
@click.option("--equalise", type=click.Choice(["on", "off"]), default="on", show_default=True,
              help="Give neighbouring layers one range.")  # fmt: skip
@click.option("--correct", type=click.Choice(["on", "off"]), default="on", show_default=True,
              help="Make biases good for rounded weights.")  # fmt: skip
@click.option("--symmetric", is_flag=True, help="Zero points in the middle, as TensorRT needs.")
@photo_options
@level_options
@weights_options
@network_options
def command(
    network: str,
    output: str | None,
    images: Path | None,
    inputs: Files,
    method: str,
    equalise: str,
    correct: str,
    symmetric: bool,
    photo: Mapping[str, Any],
    level: int,
    disable: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    **options: Any,
) -> int:
    """Write the scale of every tensor, measured on samples.

    The samples are photos, read as `cnndsl run --image` does it, or arrays [samples, *shape].
    `digits` are some of those of scikit-learn's that `cnndsl train` does not hold out.
    """
    from cnndsl.api import calibrate
    from cnndsl.quantise.calibration import SUFFIX
    from cnndsl.quantise.collect import Settings

    require_one_source(images, inputs, photo)
    weights = (options["weights"], options["weights_map"])
    sources = (network, *weights, *(path for _, path in inputs))
    asked = in_folder(output, SUFFIX)
    if asked:
        check_output(asked, sources, SUFFIX)
    parsed = load_network(network, settings, input_shapes)
    path = check_output(asked or Path(f"{parsed.name}{SUFFIX}"), (parsed.file, *sources), SUFFIX)
    samples = read_samples(parsed, images, inputs, photo)
    chosen = Settings(method, level, equalise == "on", correct == "on", symmetric)
    with stage("measure") as facts, progress_bar() as progress:
        found = calibrate(
            parsed,
            samples.batches(parsed.inputs),
            samples=samples.count,
            weights=options["weights"],
            weights_map=options["weights_map"],
            seed=options["seed"],
            disable=disable,
            settings=chosen,
            progress=progress,
        )
        facts += [f"{found.samples} samples", f"{len(found.tensors)} tensors", method]
    found.write(path)
    _print_worst(found)
    click.echo(str(path))
    return 0


def _print_worst(found: Calibration) -> None:
    """The layers that codes cost most by themselves."""
    rated = [(row.snr, name) for name, row in found.tensors.items() if row.snr is not None]
    rows = [[name, f"{snr:.1f}"] for snr, name in sorted(rated)[:SHOWN]]
    if rows:
        log("layers that lose most by themselves")
        print_table([["layer", "dB"], *rows], numbers=(1,))
