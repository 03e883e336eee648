"""`cnndsl view`: a network as a page for the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, log, network_options
from cnndsl.cli.outputs import check_output
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.ir.graph import Graph


@click.command(
    "view",
    cls=Verb,
    examples=(
        "view resnet50 -o resnet50.html",
        "view my_net.cnn --serve",
        "view model.onnx",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="FILE.html, or - for stdout.")
@click.option(
    "--serve", is_flag=True, help="Serve the page to this machine alone; it follows the file."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of --serve.")
@network_options
def command(
    network: str,
    output: Path | None,
    serve: bool,
    port: int,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Write a network as one HTML file: its text, its graph with blocks that fold, its memory.

    The file needs nothing else and asks nobody anything, so it can be mailed.
    """
    if serve and (output or network == "-"):
        raise click.UsageError("--serve takes a file or a name, and writes no file")
    if port and not serve:
        raise click.UsageError("--port is for --serve")
    if serve:
        return _serve(network, port, settings, input_shapes)
    return _write(network, output, settings, input_shapes)


def _write(network: str, output: Path | None, settings: Any, input_shapes: Any) -> int:
    from cnndsl.diagnostics.units import si
    from cnndsl.page.data import page_data
    from cnndsl.page.html import page
    from cnndsl.runtime.files import atomic_write

    if output and str(output) != "-":
        check_output(output, [network], ".html")
    graph = _graph(network, settings, input_shapes)
    html = page(page_data(graph))
    if str(output) == "-":
        click.echo(html, nl=False)
        return 0
    path = check_output(output or Path(f"{graph.name}.html"), [network], ".html")
    with atomic_write(path) as file:
        file.write(html)
    click.echo(f"{path}  {si(path.stat().st_size, 'B')}")
    return 0


def _serve(network: str, port: int, settings: Any, input_shapes: Any) -> int:
    from cnndsl.page.server import Live, server

    live = Live(network, lambda: _graph(network, settings, input_shapes))
    with server(live, port) as (found, address):
        click.echo(address)
        log("Ctrl+C ends it")
        found.serve_forever()
    return 0


def _graph(network: str, settings: Any, input_shapes: Any) -> Graph:
    """The graph that is shown; that of a model is made from its text."""
    from cnndsl.artefacts import is_onnx

    if not is_onnx(network) or settings:
        return load_network(network, settings, input_shapes).graph
    from cnndsl.importers.onnx.load import load
    from cnndsl.importers.text import written

    return written(load(Path(network), None, dict(input_shapes))).graph
