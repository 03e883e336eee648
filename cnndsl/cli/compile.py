"""`cnndsl compile`: a network and its weights to an artefact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    code_options,
    load_network,
    network_options,
    target_option,
    weights_options,
)
from cnndsl.cli.memory import recompute_option
from cnndsl.cli.outputs import check_output, in_folder, output_option
from cnndsl.cli.passes import level_options
from cnndsl.cli.precision import calibration_options
from cnndsl.cli.terminal import log, progress_bar, show_remarks, stage
from cnndsl.cli.verb import Verb


@click.command(
    "compile",
    cls=Verb,
    examples=(
        "compile resnet50 --weights resnet50.safetensors",
        "compile my_net.cnn --set classes=10 --target cpu --seed 0 -o my_net.cnnmod",
        "compile resnet50 --weights W --target cpu --emit library -o resnet50/",
        "compile squeezenet1_1 --weights W --target wasm -o page/",
        "compile resnet50 --target torch -o resnet50/",
        "compile lenet5 --gradients auto --seed 0 -o lenet5_step.onnx",
        "compile resnet50 --weights W --target cpu --sign key.pem",
    ),
)
@click.argument("network", shell_complete=completion.networks)
@output_option("NAME and suffix")
@click.option(
    "--emit",
    type=click.Choice(["module", "library"]),
    help="A module for Python, or the folder of a library for C. [cpu] [default: module]",
)
@click.option(
    "--embed-weights", is_flag=True, default=None, help="Put the weights into the library. [cpu]"
)
@click.option(
    "--gradients",
    type=click.Choice(["auto", "cross_entropy", "mse", "map"]),
    help="Compute this loss and its gradients by all weights: docs/gradients.md.",
)
@click.option(
    "--sign",
    "key",
    metavar="KEY",
    shell_complete=completion.files,
    help="Sign what is written by this private key: FILE.sig beside each file.",
)
@recompute_option
@calibration_options
@code_options
@level_options
@target_option
@weights_options
@network_options
def command(
    network: str,
    output: str | None,
    key: str | None,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    gradients: str | None,
    recompute: str | int | None,
    **options: Any,
) -> int:
    """Compile a network and write the artefact."""
    from cnndsl.analysis.cost import graph_cost
    from cnndsl.api import compile as compile_network
    from cnndsl.api import gradients as gradients_of
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.units import exact, si
    from cnndsl.runtime.backend import NamesFiles, WritesFolders, backend
    from cnndsl.runtime.files import check_folder
    from cnndsl.runtime.layers import Built
    from cnndsl.runtime.signature import SigningKey, signature_path

    target = backend(options["target"])
    sources = (options["weights"], options["weights_map"], key)
    signing = SigningKey(key) if key else None
    is_folder = options["emit"] == "library" or isinstance(target, WritesFolders)
    asked = Path(output) if output and is_folder else in_folder(output, target.suffix)
    if asked and not is_folder:
        check_output(asked, (network, *sources), target.suffix)
    elif asked and asked.exists() and not asked.is_dir():
        raise CnnError.of("E0602", f"cannot write {asked}: the result is a folder, and it is none")
    with stage("parse") as facts:
        parsed = load_network(network, settings, input_shapes)
        parameters = exact(graph_cost(parsed.graph).params)
        facts += [parsed.name, f"{len(parsed.graph)} nodes", f"{parameters} parameters"]
    if recompute and not gradients:
        raise CnnError.of("E0615", "--recompute is for --gradients")
    if gradients:
        with stage("differentiate") as facts:
            batch = options.get("batch") or 1
            parsed = gradients_of(parsed, gradients, recompute=recompute, batch=batch)
            count = sum(name.endswith(".gradient") for name in parsed.outputs)
            facts += [f"{len(parsed.graph)} nodes", f"{count} gradients"]
    path = asked or Path(f"{parsed.name}{'' if is_folder else target.suffix}")
    if not is_folder:
        if not asked:
            _refuse_of_others(path, target.target)
        check_output(path, (parsed.file, *sources), target.suffix)
        if signing:
            check_output(signature_path(path), (parsed.file, *sources))
    elif isinstance(target, NamesFiles):
        check_folder(path, target.folder_files(parsed.name))
    with stage("compile") as facts, progress_bar() as progress:
        module = compile_network(parsed, progress=progress, **options)
        facts.append(target.description)
        if isinstance(module, Built) and module.build:
            facts.append(str(module.build))
    show_remarks(module)
    log(f"{'takes':<8} {', '.join(map(str, module.inputs))}")
    with stage("write"):
        module.save(path)
    files = module.files(path)
    if signing:
        with stage("sign"):
            files += [signing.sign(file) for file in files]
    for file in files:
        click.echo(f"{file}  {si(file.stat().st_size, 'B')}")
    return 0


def _refuse_of_others(path: Path, target: str) -> None:
    """Raise CnnError (E0602) if nobody asked for this path, and it is what another target made."""
    from cnndsl.artefacts import load
    from cnndsl.diagnostics import CnnError
    from cnndsl.runtime.backend import backends

    alike = [other for other in backends().values() if other.suffix == path.suffix]
    if len(alike) < 2 or not path.is_file():
        return
    try:
        made_by = load(path).metadata.get("target", target)
    except CnnError:
        return
    if made_by != target:
        message = f"{path} is a module of the target {made_by}"
        raise CnnError.of("E0602", message, hint="-o FILE names another file, or this one")
