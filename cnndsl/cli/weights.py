"""`cnndsl weights`: the parameters of a network, and whether a file fits them."""

from __future__ import annotations

import click

from cnndsl.cli.common import load_network, log, output_format_option, print_table, show


@click.group("weights")
def command() -> None:
    """List a network's parameters, or check a weight file against them."""


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
