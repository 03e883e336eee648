"""`cnndsl weights`: the parameters of a network, files that fit them, and files that shall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options, open_model, trust_option
from cnndsl.cli.outputs import check_output, in_folder, output_option
from cnndsl.cli.parameters import PatternShare
from cnndsl.cli.terminal import log, print_json, print_table, show
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.ir.graph import Graph
    from cnndsl.network import Network
    from cnndsl.runtime.module import Array
    from cnndsl.weights.sparsity import Stored

weights_map_option = click.option(
    "--weights-map",
    metavar="FILE",
    shell_complete=completion.files,
    help="Rename rules for the weights.",
)


@click.group("weights")
def command() -> None:
    """List parameters; check, convert or prune a weight file."""


@command.command(
    "list",
    cls=Verb,
    examples=("weights list resnet50", "weights list resnet50.safetensors"),
)
@click.argument("network", shell_complete=completion.networks)
@click.option("--json", "as_json", is_flag=True, help="The same, for machines.")
@trust_option
@network_options
def list_parameters(
    network: str,
    as_json: bool,
    trust: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Print the name and shape of each parameter; statistics are marked as not learned.

    A compiled module has those of the network that it was made from. Of a weight file, the arrays
    that it holds.
    """
    from cnndsl.weights.files import SUFFIXES, load_weights

    if Path(network).suffix in SUFFIXES:
        arrays = load_weights(network)
        show(arrays.warnings)
        _list_arrays(arrays, as_json)
        return 0
    parameters = _graph(network, settings, input_shapes, trust).parameters().values()
    if as_json:
        print_json(
            [{"name": p.name, "shape": list(p.shape), "learned": p.learned} for p in parameters]
        )
        return 0
    rows = [
        [parameter.name, "x".join(map(str, parameter.shape)), "" if parameter.learned else "fixed"]
        for parameter in parameters
    ]
    print_table(rows)
    return 0


def _list_arrays(arrays: Mapping[str, Array], as_json: bool) -> None:
    """The name, shape and dtype of each."""
    if as_json:
        items = [(name, list(a.shape), str(a.dtype)) for name, a in arrays.items()]
        print_json([dict(zip(("name", "shape", "dtype"), item, strict=True)) for item in items])
        return
    print_table([[name, "x".join(map(str, a.shape)), str(a.dtype)] for name, a in arrays.items()])


@command.command(
    "check",
    cls=Verb,
    examples=("weights check resnet50 resnet50.safetensors",),
)
@click.argument("network", shell_complete=completion.networks)
@click.argument("file", shell_complete=completion.files)
@weights_map_option
@trust_option
@network_options
def check_file(
    network: str,
    file: str,
    weights_map: str | None,
    trust: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Tell which names of a weight file are missing, unexpected, or of another shape.

    And whether what the compiler makes of the numbers is finite.
    """
    from cnndsl.passes.pipeline import inference_graph, optimise
    from cnndsl.weights.bind import bind
    from cnndsl.weights.evaluate import Evaluator
    from cnndsl.weights.rename import read_weights

    whole = _graph(network, settings, input_shapes, trust)
    parameters = inference_graph(whole).parameters()
    arrays = read_weights(file, weights_map)
    bound = bind(parameters, arrays, seed=None, unread=whole.parameters())
    for node in optimise(whole)[0].nodes():
        evaluate = Evaluator(bound.values)
        for expression in node.expressions():
            evaluate(expression, np.float32)
    show(bound.warnings, err=False)
    log(f"{file} has all {len(parameters)} parameters of {network}")
    return 1 if bound.warnings else 0


def _graph(
    model: str,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    trust: Sequence[str],
) -> Graph:
    """The graph of a network, or of the one that an artefact was made from."""
    from cnndsl.api import Network
    from cnndsl.artefacts import is_onnx
    from cnndsl.diagnostics import CnnError
    from cnndsl.runtime.layers import Portable

    if is_onnx(model) and not trust:
        return load_network(model, settings, input_shapes).graph
    found = open_model(model, settings, input_shapes, (), None, trust)
    if not isinstance(found, Network | Portable):
        raise CnnError.of(
            "E0417",
            f"{model} does not keep the parameters of its network",
            hint="give the network that it was compiled from",
        )
    return found.graph


@command.command(
    "convert",
    cls=Verb,
    examples=(
        "weights convert resnet50.pth --from torchvision --network resnet50",
        "weights convert last.pt --network my_net.cnn --draft names.map",
        "weights convert last.pt --network my_net.cnn --weights-map names.map -o my.safetensors",
    ),
)
@click.argument("file", shell_complete=completion.files)
@click.option(
    "--from",
    "source",
    default="auto",
    show_default=True,
    metavar="torchvision|timm|keras|auto",
    help="The framework that the file comes from.",
)
@click.option(
    "--network",
    required=True,
    shell_complete=completion.networks,
    help="The network that the weights are for.",
)
@output_option("NAME.safetensors")
@weights_map_option
@click.option(
    "--draft",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write rename rules to complete, if it is not certain what is what.",
)
@click.option("--json", "as_json", is_flag=True, help="The pairing, for machines.")
@network_options
def convert_file(
    file: str,
    source: str,
    network: str,
    output: str | None,
    weights_map: str | None,
    draft: Path | None,
    as_json: bool,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Give the arrays of another framework the names and layouts of a network.

    Prints which layer of the file became which of the network.
    """
    from cnndsl.diagnostics.units import si
    from cnndsl.runtime.files import atomic_write
    from cnndsl.weights.conversion import UncertainError, convert
    from cnndsl.weights.files import load_weights, save_safetensors
    from cnndsl.weights.rename import load_rules

    asked = in_folder(output, ".safetensors")
    if asked:
        check_output(asked, [file, network], ".safetensors")
    parsed = load_network(network, settings, input_shapes)
    inputs = [file, parsed.file, weights_map]
    path = asked or Path(f"{parsed.name}.safetensors")
    check_output(path, inputs, ".safetensors")
    rules = load_rules(weights_map) if weights_map is not None else None
    try:
        found = convert(load_weights(file), parsed, source, rules)
    except UncertainError as error:
        if draft is not None:
            check_output(draft, inputs)
            with atomic_write(draft) as stream:
                stream.write(error.draft.encode())
            log(f"{draft}  a draft: edit the lines with a question mark")
        raise
    show(found.warnings)
    save_safetensors(path, found.values, {"network": parsed.name})
    log(f"{file} has all {len(found.values)} parameters of {parsed.name}, by {found.by}")
    if as_json:
        arrays = [
            {"from": found.names[n], "to": n, "shape": a.shape} for n, a in found.values.items()
        ]
        print_json({"network": parsed.name, "by": found.by, "output": str(path), "arrays": arrays})
        return 0
    print_table(list(_layer_rows(found.names)))
    click.echo(f"{path}  {si(path.stat().st_size, 'B')}")
    return 0


scope_option = click.option(
    "--scope",
    type=click.Choice(["layer", "global"]),
    default="layer",
    show_default=True,
    help="Prune the share of each layer, or of all that a pattern matches together.",
)


@command.command(
    "prune",
    cls=Verb,
    examples=(
        "weights prune squeezenet1_0 w.safetensors 'fire*=0.5' -o pruned.safetensors",
        "weights prune my.cnn w.safetensors 'conv1=0' '*=0.8' --scope global -o p.safetensors",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@click.argument("file", shell_complete=completion.files)
@click.argument("shares", type=PatternShare(), nargs=-1, required=True, metavar="PATTERN=SHARE...")
@scope_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--json", "as_json", is_flag=True, help="What is left, for machines.")
@weights_map_option
@network_options
def prune_command(
    network: str,
    file: str,
    shares: Sequence[tuple[str, float]],
    scope: Any,
    output: Path,
    as_json: bool,
    weights_map: str | None,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Set the weights of smallest magnitude to zero, of kernels of the layers that match.

    The first pattern that matches a layer counts; biases and norms stay. Prints what is left.
    """
    parsed = load_network(network, settings, input_shapes)
    return prune_file(parsed, file, weights_map, shares, scope, output, as_json)


def prune_file(
    parsed: Network,
    file: str,
    weights_map: str | None,
    shares: Sequence[tuple[str, float]],
    scope: Any,
    output: Path,
    as_json: bool = False,
) -> int:
    """Write the weights of a file without the smallest, and print what is left."""
    from cnndsl.weights.bind import bind
    from cnndsl.weights.files import save_safetensors
    from cnndsl.weights.rename import read_weights
    from cnndsl.weights.sparsity import prune, stored

    check_output(output, [file, parsed.file, weights_map], ".safetensors")
    bound = bind(parsed.graph.parameters(), read_weights(file, weights_map), seed=None)
    show(bound.warnings)
    values = prune(parsed.graph, bound.values, shares, scope)
    save_safetensors(output, values, {"network": parsed.name})
    show_stored(stored(parsed.graph, values), as_json)
    if not as_json:
        click.echo(str(output))
    return 0


def show_stored(rows: Sequence[Stored], as_json: bool) -> None:
    """What the numbers of each layer take, and all together."""
    from cnndsl.diagnostics.units import exact
    from cnndsl.weights.sparsity import whole

    rows = [*rows, whole(rows)]
    if as_json:
        print_json([{**asdict(row), "sparsity": row.sparsity} for row in rows])
        return
    head = ["layer", "parameters", "sparsity", "not zero", "bits", "bytes"]
    cells = [
        [
            row.layer,
            exact(row.numbers),
            f"{row.sparsity:.1%}",
            exact(row.nonzero),
            str(row.bits),
            exact(row.bytes),
        ]
        for row in rows
    ]
    print_table([head, *cells], numbers=range(1, len(head)))


def _layer_rows(names: Mapping[str, str]) -> Iterator[list[str]]:
    """For each layer its name in the file, its name in the network, and its arrays' roles."""
    layers: dict[tuple[str, str], list[str]] = {}
    for target, name in names.items():
        layer, _, role = target.rpartition(".")
        layers.setdefault((name.rpartition(".")[0], layer), []).append(role)
    for (source, layer), roles in layers.items():
        yield [source, "->", layer, ", ".join(roles)]
