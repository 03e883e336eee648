"""`cnndsl draw`: the graph as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options
from cnndsl.cli.outputs import check_output, in_folder, output_option
from cnndsl.cli.verb import Verb


@click.command(
    "draw",
    cls=Verb,
    examples=(
        "draw resnet50 --depth 1",
        "draw my_net.cnn -o - > my_net.svg",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@output_option("NAME.svg; FILE.dot is for Graphviz, - stdout")
@click.option(
    "--depth", type=click.IntRange(1), help="Levels of blocks to open; small networks: all."
)
@network_options
def command(
    network: str,
    output: str | None,
    depth: int | None,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Draw a network with its blocks as boxes.

    Hovering over a box in the SVG tells its path, its costs and its place in the source.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.units import si
    from cnndsl.runtime.files import atomic_write

    to_stdout = output == "-"
    asked = in_folder(output, ".svg")
    if asked and not to_stdout and asked.suffix not in (".svg", ".dot"):
        raise CnnError.of(
            "E0607",
            f"cannot draw into {asked}: pictures are .svg or .dot",
            hint="an SVG becomes a PNG with rsvg-convert, Inkscape or a browser",
        )
    if asked and not to_stdout:
        check_output(asked, [network])
    parsed = load_network(network, settings, input_shapes)
    path = check_output(asked or Path(f"{parsed.name}.svg"), [parsed.file])
    if path.suffix == ".dot":
        from cnndsl.drawing.dot import dot as draw
    else:
        from cnndsl.drawing.svg import svg as draw
    if to_stdout:
        click.echo(draw(parsed.graph, depth), nl=False)
        return 0
    with atomic_write(path) as file:
        file.write(draw(parsed.graph, depth))
    click.echo(f"{path}  {si(path.stat().st_size, 'B')}")
    return 0
