"""`cnndsl import`: a model of another format as a text and a file of weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from cnndsl.cli import completion
from cnndsl.cli.common import output_format_option
from cnndsl.cli.outputs import check_output, make_folder
from cnndsl.cli.parameters import InputShape, Names
from cnndsl.cli.terminal import log
from cnndsl.cli.verb import Verb


@click.command(
    "import",
    cls=Verb,
    examples=(
        "import resnet50.onnx",
        "import detector.onnx --outputs backbone/stage4,backbone/stage5 -o imported/",
    ),
)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=completion.files)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    help="The folder to write into. Default: the present one, where no text is replaced.",
)
@click.option(
    "--outputs", type=Names(), default=(), help="Tensors of the model to be the outputs instead."
)
@click.option(
    "--output-map",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Rename rules for other weights with the names of the model.",
)
@click.option(
    "--input-shape", "input_shapes", type=InputShape(), multiple=True, help="Replace a shape."
)
@output_format_option
def command(
    model: Path,
    folder: Path | None,
    outputs: Sequence[str],
    output_map: Path | None,
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> int:
    """Write an ONNX model as NAME.cnn and NAME.safetensors.

    A quantised model has a NAME.calibration, too, for --precision int8.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.diagnostics.units import exact, si
    from cnndsl.importers.onnx.load import load, name_of
    from cnndsl.importers.text import written
    from cnndsl.quantise.calibration import SUFFIX
    from cnndsl.runtime.files import atomic_write, check_folder, text_with_others
    from cnndsl.weights.files import save_safetensors

    name = name_of(model)
    text, weights = ((folder or Path()) / f"{name}{suffix}" for suffix in (".cnn", ".safetensors"))
    if folder is None and text.exists():
        hint = "-o FOLDER writes elsewhere, -o . replaces it"
        raise CnnError.of("E0602", f"{text} is there already", hint=hint)
    if folder is None or folder.is_dir():
        check_output(text, [model], network_text=True)
        check_output(weights, [model], ".safetensors")
    else:
        check_folder(folder, ())
    if output_map:
        check_output(output_map, [model, text, weights])
    found = written(load(model, outputs or None, dict(input_shapes)))
    if folder is not None:
        make_folder(folder)
    codes = None
    if found.codes is not None:
        codes = (folder or Path()) / f"{name}{SUFFIX}"
        check_output(codes, [model, text, weights])
    with text_with_others(text, found.text):
        if output_map:
            with atomic_write(output_map) as file:
                file.write(found.rules().encode())
        if codes and found.codes:
            found.codes.write(codes)
        save_safetensors(weights, found.weights, {"network": found.graph.name, "model": model.name})
    count = exact(sum(array.size for array in found.weights.values()))
    log(f"{found.graph.name}: {count} numbers in {len(found.weights)} parameters")
    for path in filter(None, (text, weights, codes, output_map)):
        click.echo(f"{path}  {si(path.stat().st_size, 'B')}")
    return 0
