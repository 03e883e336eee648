"""`cnndsl bench`: how long a call takes, how much memory, and where the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    code_options,
    network_options,
    open_model,
    random_weights,
    target_option,
    trust_option,
    weights_options,
)
from cnndsl.cli.numbers import Finite
from cnndsl.cli.parameters import Names
from cnndsl.cli.passes import level_options
from cnndsl.cli.precision import calibration_options
from cnndsl.cli.terminal import print_json, print_table, progress_bar, show_remarks
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.measure.tables import Table
    from cnndsl.runtime.module import Module


@click.command(
    "bench",
    cls=Verb,
    examples=(
        "bench resnet50 --target cpu --against onnxruntime",
        "bench resnet50.cnnmod --layers --top 10",
    ),
)
@click.argument("model", shell_complete=completion.networks)
@click.option(
    "--against", type=Names(), default=(), help="Other runtimes: onnxruntime, openvino, torch."
)
@click.option(
    "--seconds",
    type=Finite(0, min_open=True),
    default=5.0,
    show_default=True,
    help="How long each runtime runs.",
)
@click.option("--layers", is_flag=True, help="The time of each layer.")
@click.option("--top", type=click.IntRange(1), help="Of the layers only the slowest.")
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@trust_option
@calibration_options
@code_options
@level_options
@target_option
@weights_options
@network_options
def command(
    model: str,
    against: Sequence[str],
    seconds: float,
    layers: bool,
    top: int | None,
    as_json: bool,
    trust: Sequence[str],
    **options: Any,
) -> int:
    """Time an artefact, or a network that is compiled first.

    Weights are random by default. Each runtime runs alone in a process of its own; they take
    turns. A ratio over 1 says how many times longer the other runtime takes.
    """
    from cnndsl.measure.contest import contest
    from cnndsl.measure.runtimes import check_installed

    for runtime in against:
        check_installed(runtime)
    module = _module(model, options, trust)
    with progress_bar() as progress:
        progress("measuring", 0, 100)
        found = contest(
            module,
            against,
            batch=options["batch"],
            threads=options["threads"],
            seconds=seconds,
            layers=layers or top is not None,
            progress=lambda share: progress("measuring", round(100 * share), 100),
        )
    data = found.data()
    if top is not None:
        data["layers"] = _slowest(data["layers"], top)
    if as_json:
        print_json(data)
    else:
        _print_runtimes(data)
        _print_layers(data)
    return 0


def _module(model: str, options: dict[str, Any], trust: Sequence[str]) -> Module:
    from cnndsl.api import Network
    from cnndsl.api import compile as compile_network

    settings, input_shapes = options.pop("settings"), options.pop("input_shapes")
    only_networks = options.keys() - {"batch", "threads"}
    threads = options["threads"]
    found = open_model(model, settings, input_shapes, only_networks, threads, trust)
    if not isinstance(found, Network):
        return found
    with progress_bar() as progress:
        module = compile_network(found, progress=progress, **random_weights(options))
    show_remarks(module)
    return module


def _slowest(layers: list[dict[str, Any]], top: int) -> list[dict[str, Any]]:
    return sorted(layers, key=lambda row: -row["ms"])[:top]


def _print(found: Table) -> None:
    print_table([found.head, *found.rows], numbers=tuple(found.numbers))


def _print_runtimes(data: dict[str, Any]) -> None:
    from cnndsl.measure.shown import arena_line, contest_title
    from cnndsl.measure.tables import runtimes

    click.echo(contest_title(data))
    _print(runtimes(data))
    if planned := arena_line(data):
        click.echo(planned)


def _print_layers(data: dict[str, Any]) -> None:
    from cnndsl.measure.shown import layer_lines
    from cnndsl.measure.tables import layers

    if data["layers"]:
        click.echo()
        _print(layers(data))
        for line in layer_lines(data):
            click.echo(line)
