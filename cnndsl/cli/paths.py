"""The paths through a network: a view of `inspect`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.common import Command
from cnndsl.cli.terminal import print_json, progress_bar

if TYPE_CHECKING:
    from cnndsl.network import Network


def gradients_option(command: Command) -> Command:
    """--gradients and --seed of inspect."""
    command = click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        help="Of --gradients: the input, the paths, and weights unless there are --weights.",
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

    seed = given["seed"] or 0
    weights = {**given, "seed": given["seed"] if given["weights"] else seed}
    with progress_bar() as progress:
        return path_gradients(network, samples=samples, draws=seed, progress=progress, **weights)
