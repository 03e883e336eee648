"""`cnndsl inspect`: what a network or an artefact is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    is_terminal,
    load_network,
    network_options,
    open_model,
    print_json,
    print_table,
    trust_option,
)
from cnndsl.cli.memory import memory_options, show_memory, wants_memory
from cnndsl.cli.outputs import check_output
from cnndsl.cli.passes import show_view, view_options, wants_view
from cnndsl.cli.sizes import show_sizes
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.api import Network
    from cnndsl.runtime.module import Module


@click.command(
    "inspect",
    cls=Verb,
    examples=(
        "inspect resnet50 --depth 1",
        "inspect my_net.cnn --passes",
        "inspect densenet121 --memory --svg memory.svg",
        "inspect vgg16 --layers --format latex",
        "inspect resnet50.cnnmod --size",
    ),
)
@click.argument("model", shell_complete=completion.networks)
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@click.option("--depth", type=click.IntRange(1), default=2, show_default=True)
@click.option("--kernels", is_flag=True, help="Of an artefact: its kernels and what they need.")
@click.option("--source", is_flag=True, help="Of an artefact: the text of its kernels.")
@click.option("--size", is_flag=True, help="Of an artefact: where its bytes go.")
@click.option("--layers", is_flag=True, help="One row for each layer, as papers print them.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "csv", "latex"]),
    help="How the layers are written. [default: text]",
)
@trust_option
@view_options
@memory_options
@network_options
def command(
    model: str,
    as_json: bool,
    depth: int,
    kernels: bool,
    source: bool,
    size: bool,
    layers: bool,
    form: str | None,
    trust: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    **view: Any,
) -> int:
    """Show blocks, shapes and costs of a network; of an artefact, what it takes and needs."""
    from cnndsl.api import Network
    from cnndsl.artefacts import is_onnx

    if form and (as_json or not layers):
        raise click.UsageError("--format is for --layers, and not for --json")
    if layers and (wants_memory(view) or wants_view(view)):
        raise click.UsageError("--layers shows the network itself, no other view")
    if view["svg"]:
        check_output(view["svg"], [model], ".svg")
    if is_onnx(model) and not trust:
        found: Network | Module = load_network(model, settings, input_shapes)
    else:
        only_networks = ("depth", "layers", *view)
        found = open_model(model, settings, input_shapes, only_networks, None, trust)
    if not isinstance(found, Network):
        if size:
            show_sizes(model, found, as_json)
        elif kernels or source:
            _inspect_kernels(model, found, source, as_json)
        else:
            _inspect_artefact(found, Path(model).stat().st_size, as_json)
    elif kernels or source or size:
        raise click.UsageError(f"{model} is not compiled; kernels and sizes are of artefacts")
    elif layers:
        _inspect_layers(found, as_json, form or "text")
    elif wants_memory(view):
        show_memory(found, view, as_json)
    elif wants_view(view):
        show_view(found, view, as_json)
    else:
        _inspect_network(found, as_json, depth)
    return 0


def _inspect_network(network: Network, as_json: bool, depth: int) -> None:
    from cnndsl.analysis.crops import crops

    if as_json:
        from cnndsl.analysis.report import report

        print_json(report(network))
        return
    if is_terminal():
        from rich.console import Console

        from cnndsl.analysis.summary import print_overview

        print_overview(network.graph, depth, Console())
    else:
        click.echo(network.summary(depth))
    if (saved := crops(network)) is not None:
        click.echo(str(saved))


def _inspect_layers(network: Network, as_json: bool, form: str) -> None:
    if as_json:
        from cnndsl.analysis.report import layers_report

        print_json(layers_report(network.graph))
        return
    from cnndsl.analysis.layer_forms import FORMS, layer_table

    if form == "text" and is_terminal():
        from rich.console import Console

        from cnndsl.analysis.summary import print_parts

        print_parts([layer_table(network.graph)], Console())
    else:
        click.echo(FORMS[form](network.graph), nl=False)


def _inspect_artefact(module: Module, size: int, as_json: bool) -> None:
    facts = {"file_bytes": size, **module.facts}
    if as_json:
        print_json(
            {
                "metadata": module.metadata,
                "facts": facts,
                "inputs": [_port(port) for port in module.inputs],
                "outputs": [_port(port) for port in module.outputs],
            }
        )
        return
    print_table(module.fact_rows(file_bytes=size))


def _inspect_kernels(path: str, module: Module, source: bool, as_json: bool) -> None:
    from dataclasses import asdict, fields

    from cnndsl.runtime.kernels import KernelReport, WithKernels

    if not isinstance(module, WithKernels):
        raise click.UsageError(f"{path} does not show its kernels; those of the target cuda do")
    if source:
        click.echo(module.source)
    elif as_json:
        print_json([asdict(kernel) for kernel in module.kernels])
    else:
        columns = [field.name for field in fields(KernelReport)]
        rows = [[str(value) for value in asdict(kernel).values()] for kernel in module.kernels]
        print_table([columns, *rows], numbers=range(1, len(columns)))


def _port(port: Any) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else str(size) for size in port.type.shape]
    return {"name": port.name, "batch": port.batch, "shape": shape}
