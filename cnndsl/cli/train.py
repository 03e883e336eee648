"""`cnndsl train`: weights for a network from labelled images."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import load_network, network_options, threads_option
from cnndsl.cli.memory import recompute_option
from cnndsl.cli.numbers import Seed
from cnndsl.cli.outputs import check_output, in_folder, output_option
from cnndsl.cli.photos import chosen_photo, photo_options, refuse_without_photos
from cnndsl.cli.recipes import recipe_options, show_recipe
from cnndsl.cli.terminal import log, print_json, progress_bar, show
from cnndsl.cli.verb import Verb
from cnndsl.recipes.initialisers import Initialiser

if TYPE_CHECKING:
    from cnndsl.ir.photo import Photo
    from cnndsl.network import Network
    from cnndsl.recipes.recipe import Recipe
    from cnndsl.train.data import Data
    from cnndsl.train.plan import Epoch, Plan


@click.command(
    "train",
    cls=Verb,
    examples=(
        "train lenet5 --data digits --rate 0.003 -o digits.safetensors",
        "train my_net.cnn --data photos/ --optimiser nesterov --rate 0.1 --flip 0.5",
        "train my_net.cnn --data photos/ --recipe resnet50 --with 'he(of=conv)' --batch 64",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@click.option("--data", required=True, help="`digits`, an .npz file, or a folder by class.")
@output_option("NAME.safetensors")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint beside the output.")
@click.option("--patience", type=click.IntRange(1), help="End after so many epochs without gain.")
@click.option("--weights", metavar="FILE", shell_complete=completion.files, help="To start from.")
@click.option("--keep-zeros", is_flag=True, help="Zeros of pruned kernels in --weights stay zero.")
@click.option("--seed", type=Seed(), default=0, show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option(
    "--engine",
    type=click.Choice(["torch", "native"]),
    default="torch",
    show_default=True,
    help="What takes the steps: PyTorch, or native code of the target cpu, without PyTorch.",
)
@recompute_option
@click.option("--json", "as_json", is_flag=True, help="The epochs, for machines.")
@photo_options
@recipe_options
@threads_option
@network_options
def command(
    network: str,
    data: str,
    output: str | None,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    as_json: bool,
    recipe: Callable[[Network], Recipe],
    **options: Any,
) -> int:
    """Train a network by PyTorch, or small ones by native code.

    It follows the recipe of the network's text, where options do not say otherwise, and runs on
    one device or, under torchrun, on many. The best weights go to the output, a line for each
    epoch to a .jsonl file beside it, and a checkpoint, from which --resume goes on.
    """
    parsed = load_network(network, settings, input_shapes)
    chosen = recipe(parsed)
    if options["keep_zeros"] and not options["weights"]:
        raise click.UsageError("--keep-zeros needs --weights, which have them")
    if options["weights"]:
        chosen = chosen.without(Initialiser)
    path = in_folder(output, ".safetensors") or Path(f"{parsed.name}.safetensors")
    lines = path.with_suffix(".jsonl")
    sources = (parsed.file, options["weights"], data)
    check_output(path, sources, ".safetensors", devices=False)
    for beside in (lines, path.with_suffix(".checkpoint")):
        check_output(beside, sources, devices=False)
    epochs = _train(parsed, data, chosen, path, lines, options)
    best = max(epochs, key=lambda epoch: (epoch.accuracy, -epoch.held_out_loss))
    if as_json:
        print_json({"recipe": chosen.to_json(), "epochs": [asdict(e) for e in epochs]})
    elif _leads():
        click.echo(f"{path}  accuracy {best.accuracy:.2%} in epoch {best.epoch + 1}")
    return 0


def _leads() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _train(
    parsed: Any, data: str, recipe: Recipe, path: Path, lines: Path, options: dict[str, Any]
) -> list[Epoch]:
    from cnndsl.diagnostics import CnnError

    inputs = list(parsed.inputs.values())
    if len(inputs) != 1:
        raise CnnError.of("E0604", f"training takes networks of one input, not of {len(inputs)}")
    train = _engine(options.pop("engine"))
    from cnndsl.train.data import read_data
    from cnndsl.train.plan import Plan

    images = read_data(data, inputs[0], _photo(parsed, data, options.pop("photo")))
    if _leads() and not options["resume"]:
        lines.write_bytes(b"")

    def report(epoch: Epoch, epochs: int) -> None:
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(epoch)) + "\n")
        log(
            f"epoch {epoch.epoch + 1:>3}/{epochs}  loss {epoch.loss:.4f}  held out "
            f"{epoch.held_out_loss:.4f}  accuracy {epoch.accuracy:7.2%}  {epoch.seconds:.1f} s"
        )

    if _leads():
        _show_weights(parsed, options)
        show_recipe(recipe)
        counts = f"{len(images.train)} to train with, {len(images.held_out)} held out"
        log(f"{counts}, {len(images.classes)} classes")
    with progress_bar() as progress:
        plan = Plan(path, report=report, progress=progress, **options)
        return train(parsed, images, recipe, plan)


def _show_weights(parsed: Network, options: Mapping[str, Any]) -> None:
    """Warn of names that the weights to start from have too many, and of those they lack.

    Raises CnnError as `bind` does, E0404 if they are for no parameter at all.
    """
    from cnndsl.weights.bind import bind
    from cnndsl.weights.rename import read_weights

    if options["weights"] is not None:
        arrays = read_weights(options["weights"], None)
        parameters = parsed.graph.parameters()
        is_start = arrays is not None and not arrays.keys().isdisjoint(parameters)
        show(bind(parameters, arrays, seed=options["seed"] if is_start else None).warnings)


def _engine(name: str) -> Callable[[Network, Data, Recipe, Plan], list[Epoch]]:
    """What trains. Raises CnnError (E0750) if PyTorch is needed and not installed."""
    if name == "native":
        from cnndsl.train.native import train as by_native_code

        return by_native_code
    require_torch()
    from cnndsl.train.engine import train as by_torch

    return by_torch


def _photo(parsed: Any, data: str, given: Mapping[str, Any]) -> Photo | None:
    """How photos of a folder become the input; other data are no photos."""
    if not Path(data).is_dir():
        refuse_without_photos(given)
        return None
    ((name, kind),) = parsed.inputs.items()
    return chosen_photo(parsed.photos, name, given, kind, tell=_leads())


def require_torch() -> None:
    """Raise CnnError (E0750) if PyTorch is not installed."""
    import importlib.util

    from cnndsl.diagnostics import CnnError

    if importlib.util.find_spec("torch") is None:
        hint = "pip install 'cnndsl[train]'"
        raise CnnError.of("E0750", "PyTorch is not installed", hint=hint)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # steps of small networks are short
