"""`cnndsl edit`: another architecture, written as a new file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options, network_text
from cnndsl.cli.outputs import check_output
from cnndsl.cli.parameters import PatternShare, PatternValue
from cnndsl.cli.terminal import log, show
from cnndsl.cli.verb import Verb
from cnndsl.cli.weights import prune_file, scope_option

if TYPE_CHECKING:
    from cnndsl.edit.network import Edited
    from cnndsl.runtime.module import Array


@click.command(
    "edit",
    cls=Verb,
    examples=(
        "edit alexnet_torchvision --factorise 'conv[345]=asymmetric' --between relu -o smaller.cnn",
        "edit resnet18 --factorise '*_x.?.conv1=lowrank:32' -o low.cnn",
        "edit my.cnn --factorise '*=lowrank:8' -o low.cnn --weights my.pth "
        "--output-weights low.safetensors",
        "edit resnet50 --delete conv3_x.1 --swap conv4_x.1 conv4_x.2 -o lesion.cnn",
        "edit squeezenet1_0 --prune 'fire*=0.5' --weights w.pth --output-weights p.safetensors",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@click.option(
    "--factorise",
    "edits",
    type=PatternValue("factorisation", str, "stem=stack3x3"),
    multiple=True,
    help="Replace the convolutions whose path matches, by stack3x3, asymmetric, separable, "
    "grouped:G or lowrank:R.",
)
@click.option(
    "--delete",
    "deletions",
    metavar="PATH",
    multiple=True,
    help="Take out a part that keeps the shape, such as the residual unit conv3_x.1.",
)
@click.option(
    "--swap",
    "swaps",
    metavar="PATH PATH",
    nargs=2,
    multiple=True,
    help="Let two parts of the same shapes change places.",
)
@click.option(
    "--prune",
    "shares",
    type=PatternShare(),
    multiple=True,
    help="Set the share of smallest magnitude to zero, of the kernel of each layer that matches.",
)
@scope_option
@click.option("--between", metavar="CHAIN", help="What stands between new layers: 'bn -> relu'.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The new network; --prune alone needs none.",
)
@click.option(
    "--weights",
    metavar="FILE",
    shell_complete=completion.files,
    help="Trained weights of the network.",
)
@click.option("--output-weights", type=click.Path(path_type=Path), help="Weights of the new one.")
@network_options
def command(
    network: str,
    edits: Sequence[tuple[str, str]],
    deletions: Sequence[str],
    swaps: Sequence[tuple[str, str]],
    shares: Sequence[tuple[str, float]],
    scope: Any,
    between: str | None,
    output: Path | None,
    weights: str | None,
    output_weights: Path | None,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Replace, delete or swap layers in a new network.

    This changes what the network computes: layers in the place of others have to be trained, except
    low-rank factors of trained kernels, whose error is told. The first pattern that matches counts.
    What is not replaced keeps its name and its weights.
    """
    from cnndsl.runtime.files import text_with_others
    from cnndsl.weights.files import save_safetensors
    from cnndsl.weights.sparsity import prune

    moves = bool(deletions or swaps)
    if (edits and moves) or not (edits or moves or shares):
        raise click.UsageError("give --factorise, or --delete and --swap, or --prune")
    if between and not edits:
        raise click.UsageError("--between is for --factorise")
    if (weights is None) != (output_weights is None):
        raise click.UsageError("--weights and --output-weights go together")
    if shares and (weights is None or output_weights is None):
        raise click.UsageError("--prune needs --weights and --output-weights")
    if not (edits or moves):
        if output is not None:
            raise click.UsageError("--prune alone makes no new network: leave out -o")
        parsed = load_network(network, settings, input_shapes)
        return prune_file(parsed, str(weights), None, shares, scope, Path(str(output_weights)))
    if output is None:
        raise click.UsageError("the new network needs a file: -o NAME.cnn")
    if output.suffix != ".cnn":
        raise click.UsageError(f"{output} is no name of a network file: it has to end in .cnn")
    network = network_text(network)
    sources = [*_files(network), weights]
    check_output(output, sources, network_text=True)
    if output_weights is not None:
        check_output(output_weights, sources, ".safetensors")
    edited = _edited(
        network,
        edits,
        (deletions, swaps),
        between,
        output=output,
        settings=dict(settings),
        input_shapes=dict(input_shapes),
    )
    arrays, errors = _inherited(edited, weights) if weights else ({}, {})
    arrays = prune(edited.after, arrays, shares, scope)
    with text_with_others(output, edited.text):
        if output_weights is not None:
            save_safetensors(output_weights, arrays, {"network": edited.name})
    _show(edited, errors)
    click.echo(f"{output}:{edited.name}")
    if output_weights is not None:
        missing = len(edited.after.parameters()) - len(arrays)
        log(f"{len(arrays)} arrays in {output_weights}, {missing} parameters to train")
    return 0


def _edited(
    network: str,
    edits: Sequence[tuple[str, str]],
    moves: tuple[Sequence[str], Sequence[tuple[str, str]]],
    between: str | None,
    **options: Any,
) -> Edited:
    from cnndsl.edit.factorise import factorisation
    from cnndsl.edit.network import factorise
    from cnndsl.edit.rearrange import rearrange

    if not edits:
        return rearrange(network, *moves, **options)
    chosen = [(pattern, factorisation(text)) for pattern, text in edits]
    return factorise(network, chosen, between=between, **options)


def _files(network: str) -> list[str]:
    """The files that make up a network."""
    from cnndsl.edit.network import unit_of

    return [unit.source.name for unit in unit_of(network).all_units()]


def _inherited(edited: Edited, weights: str) -> tuple[dict[str, Array], dict[str, float]]:
    """The arrays of a file for the new network, and the errors of what has low rank."""
    from cnndsl.weights.bind import bind
    from cnndsl.weights.files import load_weights

    bound = bind(edited.before.parameters(), load_weights(weights), seed=None)
    show(bound.warnings)
    return edited.weights(bound.values)


def _show(edited: Edited, errors: dict[str, float]) -> None:
    from cnndsl.analysis.cost import graph_cost
    from cnndsl.diagnostics.units import exact, si

    for old, new in edited.replaced.items():
        error = f", relative error {errors[old]:.2e}" if old in errors else ""
        log(f"{old} -> {', '.join(new)}{error}")
    show(edited.warnings)
    before, after = graph_cost(edited.before), graph_cost(edited.after)
    log(f"parameters {exact(before.params)} -> {exact(after.params)}")
    log(f"multiply-adds {si(before.macs)} -> {si(after.macs)}")
