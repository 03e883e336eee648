"""`cnndsl run`: arrays or a photo through a network or an artefact."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    code_options,
    network_options,
    open_model,
    target_option,
    trust_option,
    weights_options,
)
from cnndsl.cli.outputs import check_output
from cnndsl.cli.parameters import NamedPath
from cnndsl.cli.passes import level_options
from cnndsl.cli.photos import chosen_photo, image_option, photo_options, refuse_without_photos
from cnndsl.cli.precision import calibration_options
from cnndsl.cli.terminal import print_json, print_table, progress_bar, show_remarks, stage
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.runtime.module import Array, Module

Files = Sequence[tuple[str | None, Path]]


@click.command(
    "run",
    cls=Verb,
    examples=(
        "run resnet50.onnx --image photo.jpg --top 3",
        "run unet.cnn --weights unet.pth --input left=l.npy --input right=r.npy --output all.npz",
    ),
)
@click.argument("model", shell_complete=completion.networks)
@click.option("--input", "inputs", type=NamedPath(), multiple=True, help="An .npy or .npz file.")
@click.option("--output", "outputs", type=NamedPath(), multiple=True, help=".npy or .npz, to write")
@image_option
@photo_options
@click.option("--json", "as_json", is_flag=True, help="The results, for machines.")
@click.option("--top", type=click.IntRange(1), help="How many classes to print (5).")
@click.option("--labels", type=click.Path(path_type=Path), help="Class names, one a line.")
@trust_option
@calibration_options
@code_options
@level_options
@target_option
@weights_options
@network_options
def command(
    model: str,
    inputs: Files,
    outputs: Files,
    images: Files,
    photo: Mapping[str, Any],
    as_json: bool,
    top: int | None,
    labels: Path | None,
    trust: Sequence[str],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    **options: Any,
) -> int:
    """Run an artefact, or compile a network and run that.

    Without --output the results are printed: the best classes of a vector, the range of
    anything else.
    """
    from cnndsl.diagnostics.units import si
    from cnndsl.runtime.module import Module

    if not images:
        refuse_without_photos(photo)
    sources = (model, labels, options["weights"], options["weights_map"])
    for _, path in outputs:
        check_output(path, [*sources, *(file for _, file in (*inputs, *images))], ".npy", ".npz")
    if len({os.path.realpath(path) for _, path in outputs}) < len(outputs):
        raise click.UsageError("one file is given as several outputs")
    with stage("load"):
        only_networks = options.keys() - {"threads"}
        threads = options["threads"]
        found = open_model(model, settings, input_shapes, only_networks, threads, trust)
        if isinstance(found, Module):
            module = found
        else:
            from cnndsl.api import compile as compile_network

            with progress_bar() as progress:
                module = compile_network(found, progress=progress, **options)
            show_remarks(module)
    names = _class_names(labels, module)
    arrays = read_inputs(module, inputs, images, photo)
    with stage("run"):
        results = module(**arrays)
    by_name = results if isinstance(results, dict) else {module.outputs[0].name: results}
    sizes = _write(by_name, outputs)
    distances = module.metadata.get("smaller_is_better", "").split(",")
    if as_json:
        print_json(_report(by_name, top or 5, names, sizes, distances))
        return 0
    for file, size in sizes.items():
        click.echo(f"{file}  {si(size, 'B')}")
    if top or not outputs:
        for name, array in by_name.items():
            _print_result(name, array, top or 5, names, ascending=name in distances)
    return 0


def read_inputs(
    module: Module,
    files: Files,
    images: Files,
    photo: Mapping[str, Any],
) -> dict[str, Array]:
    """The inputs by name; a file or a photo without a name is the next input.

    `photo` is what is said of photos in the place of the network.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.runtime.arrays import read_arrays

    arrays: dict[str, Array] = {}
    free = [port.name for port in module.inputs]
    for given, path in images:
        from cnndsl.runtime.image import load_image
        from cnndsl.runtime.photos import photos_of

        ports = {port.name: port for port in module.inputs}
        name = given or next((n for n in free if n not in arrays), None)
        if name not in ports or name in arrays:
            unknown = f"{given!r} is not an input of the network"
            message = unknown if given not in (None, *ports) else f"{path} is one input too many"
            raise CnnError.of("E0604", message, hint=f"inputs: {', '.join(ports)}")
        kind = module.declared_type(ports[name])
        how = chosen_photo(photos_of(module.metadata), name, photo, kind)
        arrays[name] = load_image(path, kind, how)
    for given, path in files:
        for key, array in read_arrays(path).items():
            name = given or key or next((n for n in free if n not in arrays), None)
            if name is None or name in arrays:
                known = ", ".join(port.name for port in module.inputs)
                raise CnnError.of("E0604", f"{path} is one input too many", hint=f"inputs: {known}")
            arrays[name] = array
    return arrays


def _write(results: Mapping[str, Array], files: Files) -> dict[str, int]:
    """Write outputs into files; returns the bytes of each."""
    from cnndsl.diagnostics import CnnError
    from cnndsl.runtime.arrays import write_array, write_arrays

    for name, path in files:
        if name is not None and name not in results:
            raise CnnError.of("E0604", f"no output {name!r}", hint=f"outputs: {', '.join(results)}")
        chosen = results if name is None else {name: results[name]}
        if path.suffix == ".npz":
            write_arrays(path, chosen)
        elif len(chosen) > 1:
            raise CnnError.of(
                "E0604",
                f"{path} cannot hold {len(results)} outputs",
                hint=f"use an .npz file, or --output NAME={path}; outputs: {', '.join(results)}",
            )
        else:
            write_array(path, *chosen.values())
    return {str(path): path.stat().st_size for _, path in files}


def _report(
    results: Mapping[str, Array],
    top: int,
    labels: list[str] | None,
    sizes: Mapping[str, int],
    distances: Collection[str],
) -> dict[str, Any]:
    """The best classes of each sample of vectors, the range of other arrays, and the files."""
    outputs = []
    for name, array in results.items():
        row: dict[str, Any] = {"name": name, "shape": list(array.shape)}
        if array.ndim > 2:
            row |= {"minimum": _finite(array.min()), "maximum": _finite(array.max())}
        else:
            row["samples"] = [
                [
                    {"class": index, "score": _finite(score), "label": label}
                    for index, score, label in _best(sample, top, labels, name in distances)
                ]
                for sample in array.reshape(-1, array.shape[-1])
            ]
        outputs.append(row)
    return {"outputs": outputs, "files": [{"path": p, "bytes": n} for p, n in sizes.items()]}


def _finite(number: Any) -> float | str:
    """A number for JSON, which has no infinity and no NaN."""
    return float(number) if math.isfinite(number) else str(float(number))


def _print_result(
    name: str, array: Array, top: int, labels: list[str] | None, *, ascending: bool
) -> None:
    """The best classes of vectors, one table for each sample; the range of other arrays."""
    if array.ndim > 2:
        shape = "x".join(map(str, array.shape))
        click.echo(f"{name}: {shape}, from {array.min():.6g} to {array.max():.6g}")
        return
    samples = array.reshape(-1, array.shape[-1])
    for index, sample in enumerate(samples):
        title = name if len(samples) == 1 else f"{name}[{index}]"
        _print_classes(title, sample, top, labels, ascending)


def _print_classes(
    name: str, scores: Array, top: int, labels: list[str] | None, ascending: bool
) -> None:
    best = _best(scores, top, labels, ascending)
    rows = [[str(n), f"{score:.4f}", label or ""] for n, score, label in best]
    print_table([["class", name, ""], *rows], numbers=(0, 1))


def _best(
    scores: Array, top: int, labels: list[str] | None, ascending: bool
) -> Iterator[tuple[int, float, str | None]]:
    """The classes with the highest scores, or lowest: number, score, and name if it is known."""
    from cnndsl.runtime.classes import class_names

    titles = labels if labels and len(labels) == len(scores) else class_names(len(scores)) or []
    for index in map(int, (scores if ascending else -scores).argsort(kind="stable")[:top]):
        yield index, float(scores[index]), titles[index] if index < len(titles) else None


def _class_names(path: Path | None, module: Module) -> list[str] | None:
    """The lines of a file. Raises CnnError if it cannot be read, E0604 if no output has as many."""
    if path is None:
        return None
    from cnndsl.diagnostics import CnnError
    from cnndsl.language.sources import read_source

    names = read_source(path).text.rstrip().splitlines()
    sizes = {port.name: port.type.shape[0] for port in module.outputs if len(port.type.shape) == 1}
    if len(names) not in sizes.values():
        shown = ", ".join(f"{name} has {size} classes" for name, size in sizes.items())
        message = f"{path} has {len(names)} names, which is the number of classes of no output"
        raise CnnError.of("E0604", message, hint=shown or "maps have no classes")
    return names
