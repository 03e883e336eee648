"""The paths through a network: a view of `inspect`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from cnndsl.cli.numbers import Seed
from cnndsl.cli.photos import photo_options, refuse_without_photos
from cnndsl.cli.run import Files
from cnndsl.cli.samples import images_option, inputs_option, read_samples, require_one_source
from cnndsl.cli.terminal import print_json, progress_bar

if TYPE_CHECKING:
    from cnndsl.network import Network
    from cnndsl.runtime.module import Array


def gradients_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--gradients of inspect, and what is for it alone."""
    command = images_option(inputs_option(photo_options(command)))
    command = click.option(
        "--seed",
        type=Seed(),
        help="Of --gradients: the paths, and inputs and weights unless these are given.",
    )(command)
    return click.option(
        "--gradients",
        type=click.IntRange(1),
        metavar="N",
        help="With --paths: how much gradient N random paths of each length carry.",
    )(command)


def show_paths(
    network: Network, as_json: bool, form: str, samples: int | None, given: Mapping[str, Any]
) -> None:
    """Print how many paths there are of each length, and what gradient `samples` of them carry."""
    from cnndsl.analysis.path_forms import FORMS
    from cnndsl.analysis.paths import paths

    found = paths(network.graph)
    gradients = None if samples is None else _gradients(network, samples, given)
    sys.set_int_max_str_digits(0)  # counts are exact, whatever their size
    if as_json:
        print_json(found.as_dict(gradients))
    else:
        click.echo(FORMS[form](found, gradients), nl=False)


def _gradients(network: Network, samples: int, given: Mapping[str, Any]) -> dict[int, float]:
    from cnndsl.measure.path_gradients import path_gradients

    given, seed = dict(given), given["seed"] or 0
    inputs = _inputs(network, *(given.pop(name) for name in ("images", "inputs", "photo")))
    weights = {**given, "seed": given["seed"] if given["weights"] else seed}
    with progress_bar() as progress:
        return path_gradients(
            network, inputs, samples=samples, draws=seed, progress=progress, **weights
        )


def _inputs(
    network: Network, images: Path | None, inputs: Files, photo: Mapping[str, Any]
) -> dict[str, Array] | None:
    """All samples that are given, together."""
    if not images and not inputs:
        refuse_without_photos(photo)
        return None
    require_one_source(images, inputs, photo)
    batches = [*read_samples(network, images, inputs, photo).batches(network.inputs)]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
