"""`cnndsl inspect`: what a network or an artefact is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from cnndsl.cli.common import (
    is_artefact,
    is_terminal,
    load_network,
    network_options,
    print_json,
    print_table,
)


@click.command("inspect")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@click.option("--depth", type=click.IntRange(1), default=2, show_default=True)
@network_options
def command(
    model: str,
    as_json: bool,
    depth: int,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Show blocks, shapes and costs of a network; of an artefact, its inputs and outputs."""
    if is_artefact(model):
        _inspect_artefact(model, as_json)
        return 0
    network = load_network(model, settings, input_shapes)
    if as_json:
        from cnndsl.analysis.report import report

        print_json(report(network))
    elif is_terminal():
        from rich.console import Console

        from cnndsl.analysis.summary import print_overview

        print_overview(network.graph, depth, Console())
    else:
        click.echo(network.summary(depth))
    return 0


def _inspect_artefact(path: str, as_json: bool) -> None:
    from cnndsl.api import load

    module = load(path)
    if as_json:
        print_json(
            {
                "metadata": module.metadata,
                "inputs": [_port(port) for port in module.inputs],
                "outputs": [_port(port) for port in module.outputs],
            }
        )
        return
    rows = [[key, value] for key, value in sorted(module.metadata.items())]
    for what, ports in (("input", module.inputs), ("output", module.outputs)):
        rows += [
            [f"{what} {port.name}", f"{'batch' if port.batch is None else port.batch}x{port.type}"]
            for port in ports
        ]
    print_table(rows)


def _port(port: Any) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else str(size) for size in port.type.shape]
    return {"name": port.name, "batch": port.batch, "shape": shape}
