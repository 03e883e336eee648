"""`cnndsl run`: arrays or a photo through a network or an artefact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.common import (
    NamedPath,
    code_options,
    is_artefact,
    load_network,
    network_options,
    only_for_networks,
    print_table,
    progress_bar,
    show,
    stage,
    target_option,
    weights_options,
)
from cnndsl.cli.outputs import check_output
from cnndsl.cli.passes import level_options

if TYPE_CHECKING:
    from cnndsl.runtime.module import Array, Module

Files = Sequence[tuple[str | None, Path]]


@click.command("run")
@click.argument("model")
@click.option("--input", "inputs", type=NamedPath(), multiple=True, help="An .npy or .npz file.")
@click.option("--output", "outputs", type=NamedPath(), multiple=True, help=".npy or .npz, to write")
@click.option("--image", type=click.Path(path_type=Path), help="A photo as the input.")
@click.option("--top", type=click.IntRange(1), help="How many classes to print (5).")
@click.option("--labels", type=click.Path(path_type=Path), help="Class names, one a line.")
@code_options
@level_options
@target_option
@weights_options
@network_options
def command(
    model: str,
    inputs: Files,
    outputs: Files,
    image: Path | None,
    top: int | None,
    labels: Path | None,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    **options: Any,
) -> int:
    """Run an artefact, or compile a network and run that.

    Without --output the results are printed: the best classes of a vector, the range of
    anything else.
    """
    sources = (model, image, labels, options["weights"], options["weights_map"])
    for _, path in outputs:
        check_output(path, [*sources, *(file for _, file in inputs)])
    if len({path.resolve() for _, path in outputs}) < len(outputs):
        raise click.UsageError("one file is given as several outputs")
    with stage("load"):
        if is_artefact(model):
            from cnndsl.api import load

            only_for_networks(model, {"settings", "input_shapes", *options} - {"threads"})
            module = load(model, threads=options["threads"])
        else:
            from cnndsl.api import compile as compile_network

            network = load_network(model, settings, input_shapes)
            with progress_bar() as progress:
                module = compile_network(network, progress=progress, **options)
            show(module.warnings)
    names = _class_names(labels)
    arrays = read_inputs(module, inputs, image)
    with stage("run"):
        results = module(**arrays)
    by_name = results if isinstance(results, dict) else {module.outputs[0].name: results}
    _write(by_name, outputs)
    if top or not outputs:
        for name, array in by_name.items():
            _print_result(name, array, top or 5, names)
    return 0


def read_inputs(module: Module, files: Files, image: Path | None) -> dict[str, Array]:
    """The inputs by name; a file without a name is the next input."""
    from cnndsl.diagnostics import CnnError
    from cnndsl.runtime.arrays import read_arrays

    arrays: dict[str, Array] = {}
    free = [port.name for port in module.inputs]
    if image is not None:
        from cnndsl.runtime.image import load_image

        arrays[free.pop(0)] = load_image(image, module.declared_type(module.inputs[0]))
    for given, path in files:
        for key, array in read_arrays(path).items():
            name = given or key or next((n for n in free if n not in arrays), None)
            if name is None or name in arrays:
                known = ", ".join(port.name for port in module.inputs)
                raise CnnError.of("E0604", f"{path} is one input too many", hint=f"inputs: {known}")
            arrays[name] = array
    return arrays


def _write(results: Mapping[str, Array], files: Files) -> None:
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.units import si
    from cnndsl.runtime.arrays import write_array, write_arrays

    for name, path in files:
        if path.suffix == ".npz" and name is None:
            write_arrays(path, results)
        elif name is None and len(results) > 1:
            raise CnnError.of(
                "E0604",
                f"{path} cannot hold {len(results)} outputs",
                hint=f"use an .npz file, or --output NAME={path}; outputs: {', '.join(results)}",
            )
        else:
            name = name or next(iter(results))
            if name not in results:
                raise CnnError.of(
                    "E0604", f"no output {name!r}", hint=f"outputs: {', '.join(results)}"
                )
            write_array(path, results[name])
        click.echo(f"{path}  {si(path.stat().st_size, 'B')}")


def _print_result(name: str, array: Array, top: int, labels: list[str] | None) -> None:
    """The best classes of vectors, one table for each sample; the range of other arrays."""
    if array.ndim > 2:
        shape = "x".join(map(str, array.shape))
        click.echo(f"{name}: {shape}, from {array.min():.6g} to {array.max():.6g}")
        return
    for sample in array.reshape(-1, array.shape[-1]):
        _print_classes(name, sample, top, labels)


def _print_classes(name: str, scores: Array, top: int, labels: list[str] | None) -> None:
    from cnndsl.runtime.image import class_names

    titles = labels if labels is not None else class_names(len(scores))
    rows = [["class", name, ""]]
    for index in (-scores).argsort(kind="stable")[:top]:
        label = titles[index] if titles and index < len(titles) else ""
        rows.append([str(index), f"{scores[index]:.4f}", label])
    print_table(rows, numbers=(0, 1))


def _class_names(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    from cnndsl.language.sources import read_source

    return read_source(path).text.splitlines()
