"""From models and labelled images to a report, in one process or several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cnndsl import distributed
from cnndsl.artefacts import is_artefact, is_onnx
from cnndsl.diagnostics import CnnError
from cnndsl.evaluation.classifier import Classifier
from cnndsl.evaluation.data import Data, read_data
from cnndsl.evaluation.dense import dense
from cnndsl.evaluation.judge import Judge
from cnndsl.evaluation.scores import Outcome, Report, Unreadable, report
from cnndsl.evaluation.views import SINGLE, Views, require_photos
from cnndsl.evaluation.workers import Copies, spread
from cnndsl.network import Network
from cnndsl.runtime.module import Module
from cnndsl.runtime.options import Progress, silent, whole_number

if TYPE_CHECKING:
    from cnndsl.runtime.module import Array
    from cnndsl.runtime.signature import Keys

Model: TypeAlias = "str | PathLike[str] | Network | Module"
"""A module, or what is compiled to one."""


def evaluate(
    models: Model | Sequence[Model],
    images: str | PathLike[str],
    *,
    labels: str | PathLike[str] | None = None,
    classes: str | PathLike[str] | None = None,
    crops: str = SINGLE,
    flip: bool = False,
    scales: Sequence[int] = (),
    photo: Mapping[str, Any] | None = None,
    output: str | None = None,
    jobs: int | None = None,
    ray: bool = False,
    target: str = "onnx",
    weights: str | PathLike[str] | Mapping[str, Array] | None = None,
    threads: int | None = None,
    trust: Keys | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Report:
    """How well models tell the classes of labelled images apart, several of them together.

    `images`, `labels` and `classes` are as for `cnndsl.evaluation.data.read_data`. The
    probabilities of all `crops` (`single`, `ten` or `dense`), mirrored ones too with `flip`, at all
    `scales` and of all models are averaged; `photo` has arguments of `photo(…)` that take the place
    of the models' own. `output` names the output that tells the class, where there are several.
    Networks are compiled as `cnndsl.compile` does it with `target`, `weights` and other options;
    of artefacts only those are opened that `trust` allows, as for `cnndsl.load`. `jobs` processes
    share the work, with the same result as one; with `ray` they are workers of its cluster, as many
    as there is room for unless told otherwise. Raises CnnError.
    """
    views = Views(crops, flip, tuple(scales))
    given = [models] if isinstance(models, str | PathLike | Network | Module) else list(models)
    options |= {"target": target, "weights": weights, "threads": threads, "progress": progress}
    found = [classifier(model, views, photo or {}, output, options, trust) for model in given]
    data = read_data(
        str(images),
        None if labels is None else Path(labels),
        None if classes is None else Path(classes),
        class_count(found),
        found[0].kind,
    )
    return judged(found, views, data, jobs=jobs, ray=ray, threads=threads, progress=progress)


def classifier(
    model: Model,
    views: Views,
    photo: Mapping[str, Any],
    output: str | None,
    options: Mapping[str, Any],
    trust: Keys | None = None,
) -> Classifier:
    """The classifier of a model, which is compiled if it is a network. Raises CnnError."""
    from cnndsl.api import compile as compile_network
    from cnndsl.api import open_model, parse

    threads = options.get("threads")
    if not isinstance(model, Network | Module):
        is_network = views.dense and (is_onnx(model) or not is_artefact(model))
        model = parse(model) if is_network else open_model(model, threads=threads, trust=trust)
    if isinstance(model, Module):
        if views.dense:
            message = "a compiled module takes crops of its size alone: dense evaluation needs"
            raise CnnError.of("E0770", f"{message} the network")
        return Classifier.of(model, views, photo, output)
    declared = next(iter(model.inputs.values()))
    made = compile_network(dense(model) if views.dense else model, **options)
    return Classifier.of(made, views, photo, output, declared if views.dense else None)


def class_count(found: Sequence[Classifier]) -> int:
    """How many classes all of them tell apart. Raises CnnError E0770 if they differ."""
    counts = {one.classes for one in found}
    if len(counts) > 1:
        shown = " and ".join(map(str, sorted(counts)))
        raise CnnError.of("E0770", f"the models tell different numbers of classes apart: {shown}")
    return counts.pop()


def judged(
    found: Sequence[Classifier],
    views: Views,
    data: Data,
    *,
    jobs: int | None = None,
    ray: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> Report:
    """The report of some classifiers together. Raises CnnError E0770 if no image can be read."""
    jobs = whole_number("jobs", jobs, 1)
    judge = Judge(found, views)
    if not isinstance(data.items, Sequence):
        require_photos(views)
    elif not all(one.photos for one in found):
        kind = next(one.kind for one in found if not one.photos)
        raise CnnError.of("E0604", f"the input is {kind}, which no photo becomes")
    rows: list[Outcome | Unreadable] = []
    for part in _parts(judge, data, jobs, threads, ray):
        rows += part
        progress("evaluate", len(rows), len(data))
    if all(isinstance(row, Unreadable) for row in rows):
        first = rows[0]
        assert isinstance(first, Unreadable)
        raise CnnError.of("E0770", f"no image can be read; of the first: {first.problem}")
    whole = all(one.distribution for one in found)
    return report(rows, found[0].classes, data.names, distribution=whole)


def _parts(
    judge: Judge, data: Data, jobs: int | None, threads: int | None, ray: bool
) -> Iterator[list[Outcome | Unreadable]]:
    chunks = list(judge.chunks(data))
    if ray:
        return distributed.spread(Copies.of(judge, threads or 1), chunks, jobs, threads or 1)
    if jobs in (None, 1) or len(chunks) == 1:
        return map(judge.outcomes, chunks)
    return spread(judge, chunks, min(jobs, len(chunks)), threads)
