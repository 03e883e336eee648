"""`cnndsl diff`: what differs between the graphs of two networks."""

from __future__ import annotations

import difflib
from typing import Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options
from cnndsl.cli.passes import STAGES, fusions_option, level_options, optimised
from cnndsl.cli.terminal import print_json
from cnndsl.cli.verb import Verb


@click.command(
    "diff",
    cls=Verb,
    examples=(
        "diff resnet50 my_resnet.cnn",
        "diff vgg16 vgg16_bn --stage optimised",
    ),
)
@click.argument("first", shell_complete=completion.networks)
@click.argument("second", shell_complete=completion.networks)
@click.option("--stage", type=click.Choice(STAGES[:2]), default="parsed", show_default=True)
@fusions_option
@click.option("--json", "as_json", is_flag=True, help="The names of nodes, for machines.")
@level_options
@network_options
def command(first: str, second: str, as_json: bool, **options: Any) -> int:
    """Compare two networks node by node, by name; exit 1 if they differ.

    --set and --input-shape hold for both.
    """
    before, after = (_nodes(spec, **options) for spec in (first, second))
    if as_json:
        print_json(
            {
                "removed": [name for name in before if name not in after],
                "added": [name for name in after if name not in before],
                "changed": [n for n, text in before.items() if after.get(n, text) != text],
            }
        )
    else:
        lines = difflib.unified_diff(_lines(before), _lines(after), first, second, n=1, lineterm="")
        for line in lines:
            click.echo(line)
    return int(before != after)


def _nodes(spec: str, stage: str, level: int, **options: Any) -> dict[str, str]:
    """The text of each node by name, and that of the outputs."""
    from cnndsl.ir.text import node_lines

    network = load_network(spec, options["settings"], options["input_shapes"])
    graph = network.graph
    if stage == "optimised":
        graph, _ = optimised(network, level, options["disable"], options["target"])
    texts = {node.name: "\n".join(node_lines(graph, node)) for node in graph.nodes()}
    outputs = {f"output {name}": f"output {name} = {node}" for name, node in graph.outputs.items()}
    return texts | outputs


def _lines(nodes: dict[str, str]) -> list[str]:
    return [line for text in nodes.values() for line in text.splitlines()]
