"""`cnndsl inspect`: what a network or an artefact is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options, open_model, trust_option
from cnndsl.cli.memory import memory_options, show_memory, wants_memory
from cnndsl.cli.outputs import check_output
from cnndsl.cli.passes import show_view, view_options, wants_view
from cnndsl.cli.paths import gradients_options, show_paths
from cnndsl.cli.run import Files
from cnndsl.cli.sizes import show_sizes
from cnndsl.cli.terminal import is_terminal, print_json, print_table, show
from cnndsl.cli.verb import Verb
from cnndsl.cli.views import require_one_view
from cnndsl.cli.weights import weights_map_option

if TYPE_CHECKING:
    from cnndsl.api import Network
    from cnndsl.measure.budget import Budget
    from cnndsl.runtime.module import Module


class Budgets(click.ParamType["list[Budget]"]):
    """QUANTITY=LIMIT, several by commas."""

    name = "quantity=limit,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> list[Budget]:
        """In the order given."""
        from cnndsl.measure.budget import Budget

        try:
            return [Budget.parse(part) for part in str(value).split(",")]
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    "inspect",
    cls=Verb,
    examples=(
        "inspect resnet50 --depth 1",
        "inspect my_net.cnn --passes",
        "inspect densenet121 --memory --svg memory.svg",
        "inspect vgg16 --layers --format latex",
        "inspect googlenet --layers --by block",
        "inspect resnet110_cifar --paths --gradients 8 --weights W --images photos/",
        "inspect resnet50.cnnmod --size",
        "inspect my_net.cnn --budget weights=10MB,arena=2MB",
    ),
)
@click.argument("model", shell_complete=completion.networks)
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@click.option(
    "--depth",
    type=click.IntRange(1),
    help="Levels of blocks to show. [default: 2; of --by block 1]",
)
@click.option("--kernels", is_flag=True, help="Of an artefact: its kernels and what they need.")
@click.option("--source", is_flag=True, help="Of an artefact: the text of its kernels.")
@click.option("--size", is_flag=True, help="Of an artefact: where its bytes go.")
@click.option("--layers", is_flag=True, help="One row for each layer, as papers print them.")
@click.option(
    "--by",
    type=click.Choice(["layer", "block"]),
    default="layer",
    show_default=True,
    help="What has a row of --layers; a block with its filters by kernel.",
)
@click.option("--paths", is_flag=True, help="How many paths lead through it, by their length.")
@gradients_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "csv", "latex"]),
    help="How layers and paths are written. [default: text]",
)
@click.option(
    "--weights",
    metavar="FILE",
    shell_complete=completion.files,
    help="Of a network: what its trained numbers take: zeros, bits, bytes.",
)
@weights_map_option
@click.option(
    "--budget",
    "budgets",
    type=Budgets(),
    help="What a network may cost at most, weights=10MB,arena=2MB,params=5M,macs=1G; else exit 1.",
)
@trust_option
@view_options
@memory_options
@network_options
def command(
    model: str,
    as_json: bool,
    depth: int | None,
    kernels: bool,
    source: bool,
    size: bool,
    layers: bool,
    by: str,
    paths: bool,
    gradients: int | None,
    seed: int | None,
    images: Path | None,
    inputs: Files,
    photo: Mapping[str, Any],
    form: str | None,
    weights: str | None,
    weights_map: str | None,
    budgets: Sequence[Budget] | None,
    trust: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    **view: Any,
) -> int:
    """Show blocks, shapes and costs of a network; of an artefact, what it takes and needs."""
    from cnndsl.api import Network
    from cnndsl.artefacts import is_onnx

    if form and (as_json or not (layers or paths)):
        raise click.UsageError("--format is for --layers and --paths, and not for --json")
    if gradients and not paths:
        raise click.UsageError("--gradients is for --paths")
    if not gradients and (seed is not None or images or inputs or photo):
        raise click.UsageError("--seed, --images, --input and what photos are is for --gradients")
    if paths and weights and not gradients:
        raise click.UsageError("--weights is a view of its own, or for --paths --gradients N")
    require_one_view(view["stage"])
    if view["svg"]:
        check_output(view["svg"], [model], ".svg")
    if is_onnx(model) and not trust:
        found: Network | Module = load_network(model, settings, input_shapes)
    else:
        only_networks = (
            "depth",
            "layers",
            "by",
            "paths",
            "gradients",
            "seed",
            "images",
            "inputs",
            "weights",
            "budgets",
            *view,
        )
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
    elif budgets:
        return _inspect_budgets(found, budgets, as_json)
    elif paths:
        given: dict[str, Any] = {"weights": weights, "weights_map": weights_map, "seed": seed}
        given |= {"images": images, "inputs": inputs, "photo": photo}
        show_paths(found, as_json, form or "text", gradients, given)
    elif weights:
        _inspect_weights(found, weights, weights_map, as_json)
    elif layers and by == "block":
        _inspect_modules(found, as_json, form or "text", depth or 1)
    elif layers:
        _inspect_layers(found, as_json, form or "text")
    elif wants_memory(view):
        show_memory(found, view, as_json)
    elif wants_view(view):
        show_view(found, view, as_json)
    else:
        _inspect_network(found, as_json, depth or 2)
    return 0


def _inspect_network(network: Network, as_json: bool, depth: int) -> None:
    from cnndsl.analysis.crops import crops

    if as_json:
        from cnndsl.analysis.report import report

        said = network.recipe.to_json() if network.recipe else None
        print_json({**report(network), "recipe": said})
        return
    if is_terminal():
        from rich.console import Console

        from cnndsl.analysis.summary import print_overview

        print_overview(network.graph, depth, Console())
    else:
        click.echo(network.summary(depth))
    if network.recipe is not None:
        rows = [[e.item.slot, e.item.text(), e.origin] for e in network.recipe.entries]
        click.echo()
        print_table([["recipe", "", "said at"], *rows])
    if (saved := crops(network)) is not None:
        click.echo(str(saved))


def _inspect_weights(
    network: Network, weights: str, weights_map: str | None, as_json: bool
) -> None:
    from cnndsl.cli.weights import show_stored
    from cnndsl.weights.bind import bind
    from cnndsl.weights.rename import read_weights
    from cnndsl.weights.sparsity import stored

    arrays = read_weights(weights, weights_map)
    bound = bind(network.graph.parameters(), arrays, seed=None)
    show(bound.warnings)
    show_stored(stored(network.graph, bound.values), as_json)


def _inspect_budgets(network: Network, budgets: Sequence[Budget], as_json: bool) -> int:
    from cnndsl.diagnostics.units import exact
    from cnndsl.measure.budget import spent

    rows = spent(network.graph, budgets)
    if as_json:
        print_json(
            [
                {
                    "quantity": row.budget.quantity,
                    "amount": row.amount,
                    "limit": row.budget.limit,
                    "kept": row.is_kept,
                }
                for row in rows
            ]
        )
    else:
        cells = [
            [
                row.budget.quantity,
                exact(row.amount),
                exact(row.budget.limit),
                f"{row.amount / max(row.budget.limit, 1):.0%}",
                "ok" if row.is_kept else "over",
            ]
            for row in rows
        ]
        print_table([["budget", "is", "limit", "share", ""], *cells], numbers=(1, 2, 3))
    return 0 if all(row.is_kept for row in rows) else 1


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


def _inspect_modules(network: Network, as_json: bool, form: str, depth: int) -> None:
    if as_json:
        from cnndsl.analysis.report import modules_report

        print_json(modules_report(network.graph, depth))
        return
    from cnndsl.analysis.module_forms import FORMS, module_table

    if form == "text" and is_terminal():
        from rich.console import Console

        from cnndsl.analysis.summary import print_parts

        print_parts([module_table(network.graph, depth)], Console())
    else:
        click.echo(FORMS[form](network.graph, depth), nl=False)


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
