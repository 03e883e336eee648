"""`cnndsl bench`: how long a call takes, how much memory, and where the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    Names,
    code_options,
    network_options,
    open_model,
    print_json,
    print_table,
    progress_bar,
    random_weights,
    show_remarks,
    target_option,
    trust_option,
    weights_options,
)
from cnndsl.cli.passes import level_options
from cnndsl.cli.precision import calibration_options
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.runtime.module import Module

MEGABYTE = 1e6


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
    type=click.FloatRange(0, min_open=True),
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
    """Time an artefact, or a network that is compiled first, with random weights by default.

    Each runtime runs alone in a process of its own; they take turns. A ratio over 1 says how
    many times longer the other runtime takes.
    """
    from cnndsl.measure.contest import contest
    from cnndsl.measure.report import contest_report
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
    data = {"network": module.metadata["network"], **contest_report(found)}
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


def _print_runtimes(data: dict[str, Any]) -> None:
    head = ["", "min ms", "p50 ms", "p90 ms", "p99 ms", "samples/s", "calls", "ratio", "peak MB",
            "weights MB", "rest MB"]  # fmt: skip
    rows = [
        [
            row["name"],
            *(f"{row[f'{key}_ms']:.3f}" for key in ("min", "p50", "p90", "p99")),
            f"{row['samples_per_second']:.1f}",
            str(row["calls"]),
            f"{row['ratio']:.2f}",
            *(f"{row[f'{key}_bytes'] / MEGABYTE:.1f}" for key in ("peak", "weight", "working")),
        ]
        for row in data["runtimes"]
    ]
    click.echo(f"{data['network']}, batch {data['batch']}, threads {data['threads']}")
    print_table([head, *rows], numbers=range(1, len(head)))
    if data["arena_bytes"] is not None:
        click.echo(f"planned arena: {data['arena_bytes'] / MEGABYTE:.1f} MB")


def _print_layers(data: dict[str, Any]) -> None:
    if not data["layers"]:
        return
    head = ["layer", "operator", "kernel", "shape", "ms", "GFLOP/s", "GB/s", "bound", "reached"]
    rows = [
        [
            *(row["node"], row["op"], row["family"]),
            "x".join(map(str, row["shape"])),
            f"{row['ms']:.3f}",
            f"{row['gflops']:.1f}" if row["macs"] else "",
            f"{row['gb_per_second']:.1f}",
            row["bound"] or "",
            "" if row["share"] is None else f"{row['share']:.0%}",
        ]
        for row in data["layers"]
    ]
    click.echo()
    print_table([head, *rows], numbers=(4, 5, 6, 8))
    whole = data["runtimes"][0]["p50_ms"]
    click.echo(f"all layers: {data['layers_ms']:.3f} ms, the whole call: {whole:.3f} ms")
    peak = data["machine"]
    if peak is not None:
        gflops, bandwidth = peak["gflops"], peak["gb_per_second"]
        click.echo(f"this machine: {gflops:.1f} GFLOP/s, {bandwidth:.1f} GB/s from memory")
