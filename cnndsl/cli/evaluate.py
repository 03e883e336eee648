"""`cnndsl evaluate`: how often models are right, on labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    code_options,
    load_network,
    network_options,
    open_model,
    target_option,
    trust_option,
    weights_options,
)
from cnndsl.cli.lesions import show_lesions
from cnndsl.cli.passes import level_options
from cnndsl.cli.photos import photo_options, refuse_without_photos
from cnndsl.cli.precision import calibration_options
from cnndsl.cli.terminal import log, print_json, print_table, progress_bar, show_remarks, stage
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.evaluation.classifier import Classifier
    from cnndsl.evaluation.data import Data
    from cnndsl.evaluation.scores import Report
    from cnndsl.evaluation.views import Views
    from cnndsl.network import Network

MATRIX = 20
"""Classes of which the whole table of confusions is printed; of more, so many rows."""

NAMED = 10
"""Unreadable images that are named one by one."""


class Lesions(click.ParamType["str | int"]):
    """`each`, or how many."""

    name = "each|number"

    def convert(self, value: Any, param: Any, ctx: Any) -> str | int:
        """The word, or the number."""
        text = str(value)
        if text != "each" and not (text.isascii() and text.isdigit() and int(text)):
            self.fail(f"{value!r} is neither `each` nor a number of units", param, ctx)
        return text if text == "each" else int(text)


class Scales(click.ParamType[tuple[int, ...]]):
    """Heights in pixels, with commas."""

    name = "pixels,…"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """The heights."""
        words = value.split(",") if isinstance(value, str) else list(map(str, value))
        numbers = tuple(int(word) for word in words if word.isascii() and word.isdigit())
        if len(numbers) < len(words) or 0 in numbers:
            self.fail(f"{value!r} are no heights in pixels, such as 256,384,512", param, ctx)
        return numbers


@click.command(
    "evaluate",
    cls=Verb,
    examples=(
        "evaluate resnet50.onnx --images val/ --crops ten",
        "evaluate vgg16 --weights vgg16.safetensors --images val/ --labels val.txt --crops dense",
        "evaluate a.cnnmod b.onnx --images val/ --jobs 4 --json",
        "evaluate resnet110_cifar --weights W --images test.npz --lesion each",
    ),
)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True,
                shell_complete=completion.networks)  # fmt: skip
@click.option("--images", required=True, metavar="DIR", shell_complete=completion.files,
              help="A folder by class, an .npz file, or `digits`.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), help="An image and its class, by line.")
@click.option("--classes", type=click.Path(path_type=Path), help="Names of the classes, by line.")
@click.option("--crops", type=click.Choice(["single", "ten", "dense"]), default="single",
              show_default=True, help="The centre, ten crops, or the whole photo.")  # fmt: skip
@click.option("--flip", is_flag=True, help="See all crops mirrored, too.")
@click.option("--scales", type=Scales(), default=(), help="Heights that photos are scaled to.")
@click.option("--output", "output", help="The output that tells the class.")
@click.option("--per-class", is_flag=True, help="A row for each class.")
@click.option("--confusion", is_flag=True, help="Which class is taken for which.")
@click.option("--jobs", type=click.IntRange(1),
              help="Processes that share the images. [default: 1; all of a cluster]")  # fmt: skip
@click.option("--ray", is_flag=True, help="They are workers of a cluster of Ray.")
@click.option("--lesion", type=Lesions(),
              help="Without each residual unit in turn, or 1 to so many random ones.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit with 2 if an image cannot be read.")
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@trust_option
@photo_options
@calibration_options
@code_options
@level_options
@target_option
@weights_options
@network_options
def command(
    models: Sequence[str],
    images: str,
    labels: Path | None,
    classes: Path | None,
    crops: str,
    flip: bool,
    scales: tuple[int, ...],
    output: str | None,
    per_class: bool,
    confusion: bool,
    jobs: int | None,
    ray: bool,
    lesion: str | int | None,
    strict: bool,
    as_json: bool,
    trust: Sequence[str],
    photo: Mapping[str, Any],
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    **options: Any,
) -> int:
    """Tell how often models are right on labelled images.

    Several models count as one. Probabilities are averaged over crops, mirrored crops, scales and
    models. Images that cannot be read are named and not counted.
    """
    from cnndsl.evaluation.data import read_data
    from cnndsl.evaluation.evaluate import class_count, judged
    from cnndsl.evaluation.views import Views

    views = Views(crops, flip, scales)
    if lesion is not None:
        if per_class or confusion or strict:
            raise click.UsageError("--per-class, --confusion and --strict do not go with --lesion")

        def read(found: Sequence[Classifier]) -> Data:
            data = read_data(images, labels, classes, class_count(found), found[0].kind)
            if not isinstance(data.items, Sequence):
                refuse_without_photos(photo)
            return data

        given = {"photo": photo, "output": output, "options": options, "jobs": jobs, "ray": ray}
        network = _network(models, (settings, input_shapes), options, trust)
        show_lesions(network, lesion, views, read, as_json, given)
        return 0
    with stage("load"), progress_bar() as progress:
        common = options | {"progress": progress}
        found = _classifiers(models, views, photo, output, (settings, input_shapes), common, trust)
        data = read_data(images, labels, classes, class_count(found), found[0].kind)
    for remark in data.remarks:
        log(remark)
    if not isinstance(data.items, Sequence):
        refuse_without_photos(photo)
    elif not all(one.stated for one in found):
        log("photos are read as for ImageNet: nothing says how one becomes the input")
    with stage("evaluate") as facts, progress_bar() as progress:
        facts.append(f"{len(data)} images")
        threads = options["threads"]
        result = judged(found, views, data, jobs=jobs, ray=ray, threads=threads, progress=progress)
    if as_json:
        print_json({"models": list(models), "crops": crops, **result.as_dict()})
    else:
        _print(result, per_class, confusion)
    _name_unreadable(result)
    return 2 if strict and result.unreadable else 0


def _network(
    models: Sequence[str], given: tuple[Any, Any], options: Mapping[str, Any], trust: Sequence[str]
) -> Network:
    """The one network that lesions are made to; of an ONNX model the one that it holds."""
    from cnndsl.artefacts import is_artefact, is_onnx

    if len(models) != 1 or trust or (is_artefact(models[0]) and not is_onnx(models[0])):
        raise click.UsageError("--lesion takes one network, not compiled ones or several")
    return load_network(models[0], *given)


def _classifiers(
    models: Sequence[str],
    views: Views,
    photo: Mapping[str, Any],
    output: str | None,
    given: tuple[Any, Any],
    options: Mapping[str, Any],
    trust: Sequence[str],
) -> list[Classifier]:
    from cnndsl.api import load_onnx
    from cnndsl.artefacts import is_artefact, is_onnx
    from cnndsl.evaluation.evaluate import classifier
    from cnndsl.runtime.module import Module

    compiled = all(is_artefact(model) for model in models)
    only_networks = options.keys() - {"threads", "progress"} if compiled else ()
    opened = [
        load_onnx(model)
        if views.dense and is_onnx(model) and not trust
        else open_model(model, *given, only_networks, options["threads"], trust)
        for model in models
    ]
    networks = [model for model in opened if not isinstance(model, Module)]
    if options["weights"] and len(networks) != 1:
        raise click.UsageError("--weights are for one network; compile the others first")
    found = [classifier(model, views, photo, output, options) for model in opened]
    for one in found:
        show_remarks(one.module)
    return found


def _print(result: Report, per_class: bool, confusion: bool) -> None:
    rows = [
        ["images", str(result.images)],
        ["top-1", f"{result.top1:.2%}"],
        ["top-5", f"{result.top5:.2%}"],
        *([["loss", f"{result.loss:.4f}"]] if result.loss is not None else []),
    ]
    print_table(rows, numbers=(1,))
    if per_class:
        click.echo()
        table = [
            [row["name"], str(row["images"]), f"{row['top1']:.2%}", f"{row['top5']:.2%}"]
            for row in result.classes()
        ]
        print_table([["class", "images", "top-1", "top-5"], *table], numbers=(1, 2, 3))
    if confusion:
        click.echo()
        _print_confusion(result)


def _print_confusion(result: Report) -> None:
    """Classes by their answers, or of many classes what is mistaken most often."""
    size = len(result.confusion)
    if size <= MATRIX:
        head = ["class", *(result.name(label) for label in range(size))]
        rows = [
            [result.name(label), *map(str, result.confusion[label].tolist())]
            for label in range(size)
        ]
        print_table([head, *rows], numbers=range(1, size + 1))
        return
    rows = [
        [result.name(label), result.name(answer), str(count)]
        for label, answer, count in result.confused()[:MATRIX]
    ]
    print_table([["class", "taken for", "images"], *rows], numbers=(2,))


def _name_unreadable(result: Report) -> None:
    for row in result.unreadable[:NAMED]:
        log(f"not counted: {row.problem}")
    if len(result.unreadable) > NAMED:
        log(f"not counted: {len(result.unreadable) - NAMED} more; --json names all")
