"""`cnndsl weights`: the parameters of a network, files that fit them, and files that shall."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cnndsl.cli.common import (
    load_network,
    log,
    network_options,
    output_format_option,
    print_table,
    show,
)
from cnndsl.cli.outputs import check_output


@click.group("weights")
def command() -> None:
    """List a network's parameters, check a weight file against them, or make one that fits."""


@command.command("list")
@click.argument("network")
@output_format_option
def list_parameters(network: str) -> int:
    """Print the name and shape of each parameter; statistics are marked as not learned."""
    graph = load_network(network, (), ()).graph
    rows = [
        [parameter.name, "x".join(map(str, parameter.shape)), "" if parameter.learned else "fixed"]
        for parameter in graph.parameters().values()
    ]
    print_table(rows)
    return 0


@command.command("check")
@click.argument("network")
@click.argument("file")
@click.option("--weights-map", metavar="FILE", help="Rename rules for the weights.")
@output_format_option
def check_file(network: str, file: str, weights_map: str | None) -> int:
    """Tell which names of a weight file are missing, unexpected, or of another shape."""
    from cnndsl.passes.pipeline import inference_graph
    from cnndsl.weights.bind import bind
    from cnndsl.weights.files import load_weights
    from cnndsl.weights.rename import load_rules

    parameters = inference_graph(load_network(network, (), ()).graph).parameters()
    arrays = load_weights(file)
    if weights_map is not None:
        arrays = load_rules(weights_map).apply(arrays)
    bound = bind(parameters, arrays, seed=None)
    show(bound.warnings, err=False)
    log(f"{file} has all {len(parameters)} parameters of {network}")
    return 1 if bound.warnings else 0


@command.command("convert")
@click.argument("file")
@click.option(
    "--from",
    "source",
    default="auto",
    show_default=True,
    metavar="torchvision|timm|keras|auto",
    help="The framework that the file comes from.",
)
@click.option("--network", required=True, help="The network that the weights are for.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: NAME.safetensors.")
@network_options
def convert_file(
    file: str,
    source: str,
    network: str,
    output: Path | None,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Give the arrays of another framework the names and layouts of a network."""
    from cnndsl.analysis.units import si
    from cnndsl.weights.conversion import convert
    from cnndsl.weights.files import load_weights, save_safetensors

    parsed = load_network(network, settings, input_shapes)
    bound = convert(load_weights(file), parsed, source)
    show(bound.warnings)
    path = check_output(output or Path(f"{parsed.name}.safetensors"), [file, parsed.file])
    save_safetensors(path, bound.values, {"network": parsed.name})
    log(f"{file} has all {len(bound.values)} parameters of {parsed.name}")
    click.echo(f"{path}  {si(path.stat().st_size, 'B')}")
    return 0
