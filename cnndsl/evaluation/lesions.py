"""Lesions: how often a network is right without some of its residual units.

Source: Veit, Wilber, Belongie (2016), Residual networks behave like ensembles of relatively shallow
networks, sections 4.1 and 4.2.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.edit.parts import delete, units
from cnndsl.evaluation.classifier import Classifier
from cnndsl.evaluation.data import Data
from cnndsl.evaluation.evaluate import classifier, judged
from cnndsl.evaluation.scores import Report
from cnndsl.evaluation.views import Views
from cnndsl.ir.graph import Graph
from cnndsl.network import Network
from cnndsl.runtime.module import Array
from cnndsl.runtime.options import Progress, silent

EACH = "each"
"""What deletes every unit in turn; a number deletes so many random ones, one more at a time."""


@dataclass(frozen=True)
class Lesion:
    """The paths of the units that are taken out, and how often the rest is right."""

    deleted: tuple[str, ...]
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """What is known of it, for machines; the error is the share of wrong answers."""
        found = self.report
        return {
            "deleted": list(self.deleted),
            "error": 1 - found.top1,
            "top1": found.top1,
            "top5": found.top5,
            "loss": found.loss,
        }


def deletions(graph: Graph, what: str | int, seed: int = 0) -> list[tuple[str, ...]]:
    """The units to take out: nothing first, then each alone, or 1 to `what` random ones.

    Of random ones each step adds one, in an order that the seed gives. Raises CnnError E0770 for a
    network that has no residual units, or fewer.
    """
    paths = units(graph)
    if not paths:
        message = f"{graph.name} has no residual units that keep the shape: blocks that add"
        raise CnnError.of("E0770", f"{message} their input to what they make of it")
    if what == EACH:
        return [(), *((path,) for path in paths)]
    count = int(what)
    if count > len(paths):
        raise CnnError.of("E0770", f"{graph.name} has {len(paths)} residual units, not {count}")
    order = random.Random(seed).sample(paths, count)
    return [tuple(order[:n]) for n in range(count + 1)]


def lesions(
    network: Network,
    what: str | int,
    views: Views,
    read: Callable[[Sequence[Classifier]], Data],
    *,
    photo: Mapping[str, Any],
    output: str | None,
    options: Mapping[str, Any],
    jobs: int | None = None,
    ray: bool = False,
    progress: Progress = silent,
) -> Iterator[Lesion]:
    """The whole network first, then without the units that `deletions` tells.

    `read` gives the images for its classifier; the rest is as for `classifier` and `judged`. All
    are compiled with the weights of the whole. Raises CnnError.
    """
    seed = options.get("seed")
    chosen = deletions(network.graph, what, seed or 0)
    values = _values(network, options)
    data: Data | None = None
    for done, paths in enumerate(chosen):
        progress("lesions", done, len(chosen))
        graph = network.graph
        for path in paths:
            graph = delete(graph, path)
        rest = Network(graph) if paths else network
        own = {**options, "weights": _of(rest, values), "weights_map": None, "progress": silent}
        found = [classifier(rest, views, photo, output, own)]
        data = data or read(found)
        threads = options.get("threads")
        yield Lesion(paths, judged(found, views, data, jobs=jobs, ray=ray, threads=threads))
    progress("lesions", len(chosen), len(chosen))


def _values(network: Network, options: Mapping[str, Any]) -> Mapping[str, Array]:
    """The arrays of all parameters, from a file or a seed."""
    from cnndsl.passes.pipeline import inference_graph
    from cnndsl.weights.bind import bind
    from cnndsl.weights.moments import starts

    graph = inference_graph(network.graph)
    arrays = network.arrays(options.get("weights"), options.get("weights_map"))
    begin = None if arrays else starts(graph)
    bound = bind(graph.parameters(), arrays, seed=options.get("seed"), starts=begin)
    return bound.values


def _of(network: Network, values: Mapping[str, Array]) -> dict[str, Array]:
    from cnndsl.passes.pipeline import inference_graph

    return {name: values[name] for name in inference_graph(network.graph).parameters()}
