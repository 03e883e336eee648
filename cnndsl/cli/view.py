"""`cnndsl view`: a network as a page for the browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options, open_model, trust_option
from cnndsl.cli.outputs import check_output, in_folder, output_option
from cnndsl.cli.terminal import log, progress_bar
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.ir.graph import Graph
    from cnndsl.network import Network
    from cnndsl.page.measured import Data
    from cnndsl.runtime.module import Module


@click.command(
    "view",
    cls=Verb,
    examples=(
        "view resnet50 -o resnet50.html",
        "view my_net.cnn --serve",
        "view model.onnx",
        "view resnet50 --times resnet50.cnnmod --errors compared.json",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@output_option("NAME.html; - is stdout")
@click.option(
    "--serve", is_flag=True, help="Serve the page to this machine alone; it follows the file."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of --serve.")
@click.option(
    "--times",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What `bench --layers --json` wrote, or a compiled module that is timed now.",
)
@click.option(
    "--errors",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What `compare --json` wrote; of int8 that is the quantisation loss.",
)
@trust_option
@network_options
def command(
    network: str,
    output: str | None,
    serve: bool,
    port: int,
    times: Path | None,
    errors: Path | None,
    trust: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Write a network as one HTML file: its text, its graph with blocks that fold, its memory.

    The file needs nothing else and asks nobody anything, so it can be mailed. Of a compiled
    module it shows the network inside, and the time of each layer.
    """
    from cnndsl.artefacts import is_artefact

    if serve and (output or network == "-"):
        raise click.UsageError("--serve takes a file or a name, and writes no file")
    if port and not serve:
        raise click.UsageError("--port is for --serve")
    asked = in_folder(output, ".html")
    if asked and output != "-":
        check_output(asked, [network, *filter(None, (times, errors))], ".html")
    if trust and not (_is_module(network) or (times and is_artefact(times))):
        raise click.UsageError(f"{network} is read as a network; --trust is for artefacts")
    measured = _measured(network, times, errors, trust)
    graph = partial(_graph, network, settings, input_shapes, trust)
    if serve:
        return _serve(network, graph, port, measured)
    return _write(network, graph, asked, measured)


def _is_module(network: str) -> bool:
    """Whether the network is that inside a compiled module."""
    from cnndsl.artefacts import is_artefact, is_onnx

    return is_artefact(network) and not is_onnx(network)


def _measured(
    network: str, times: Path | None, errors: Path | None, trust: Sequence[str]
) -> dict[str, Data | None]:
    """Times and errors of layers, as `page_data` takes them."""
    from cnndsl.page.measured import ERRORS

    found = _given_times(times, trust) if times else _own_times(network, trust)
    return {"times": found, "errors": ERRORS.read(errors) if errors else None}


def _given_times(path: Path, trust: Sequence[str]) -> Data:
    from cnndsl.artefacts import is_artefact, load
    from cnndsl.page.measured import TIMES

    return _timed(load(path, trust=trust or None)) if is_artefact(path) else TIMES.read(path)


def _own_times(model: str, trust: Sequence[str]) -> Data | None:
    """Those of a compiled module, if its layers can be timed here."""
    from cnndsl.artefacts import load
    from cnndsl.diagnostics import CnnError
    from cnndsl.runtime.layers import Layered

    if not _is_module(model):
        return None
    module = load(model, trust=trust or None)
    if not isinstance(module, Layered):
        return None
    try:
        return _timed(module)
    except CnnError as error:
        log(f"no times are shown: {error}")
        return None


def _timed(module: Module) -> Data:
    from cnndsl.measure.targets import bench

    with progress_bar() as progress:
        return bench(
            module, layers=True, progress=lambda done: progress("measuring", round(100 * done), 100)
        ).data()


def _write(
    network: str, made: Callable[[], Graph], output: Path | None, measured: dict[str, Data | None]
) -> int:
    from cnndsl.diagnostics.units import si
    from cnndsl.page.data import page_data
    from cnndsl.page.html import page
    from cnndsl.runtime.files import atomic_write

    graph = made()
    html = page(page_data(graph, **measured))
    if str(output) == "-":
        click.echo(html, nl=False)
        return 0
    path = check_output(output or Path(f"{graph.name}.html"), [network], ".html")
    with atomic_write(path) as file:
        file.write(html)
    click.echo(f"{path}  {si(path.stat().st_size, 'B')}")
    return 0


def _serve(
    network: str, made: Callable[[], Graph], port: int, measured: dict[str, Data | None]
) -> int:
    from cnndsl.page.server import Live, server

    with server(Live(network, made, **measured), port) as (found, address):
        click.echo(address)
        log("Ctrl+C ends it")
        found.serve_forever()
    return 0


def _graph(network: str, settings: Any, input_shapes: Any, trust: Sequence[str]) -> Graph:
    """The graph that is shown; that of a model is made from its text, that of a module has none."""
    from cnndsl.artefacts import is_onnx

    if _is_module(network):
        return _inside(open_model(network, settings, input_shapes, (), None, trust))
    if not is_onnx(network) or settings:
        return load_network(network, settings, input_shapes).graph
    from cnndsl.importers.onnx.load import load as load_onnx
    from cnndsl.importers.text import written

    return written(load_onnx(Path(network), None, dict(input_shapes))).graph


def _inside(model: Network | Module) -> Graph:
    from cnndsl.diagnostics import CnnError
    from cnndsl.network import Network
    from cnndsl.runtime.layers import Portable

    if isinstance(model, (Network, Portable)):
        return model.graph
    target = model.metadata["target"]
    raise CnnError.of("E0734", f"a module of the target {target} does not keep its network")
