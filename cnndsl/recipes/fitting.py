"""Whether a recipe suits a network: the layers and outputs that it names, the sizes of photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import SHORTHANDS
from cnndsl.recipes.augmentations import Crop, RandomCrop, Shift
from cnndsl.recipes.initialisers import Initialiser, Pretrained
from cnndsl.recipes.items import Item
from cnndsl.recipes.losses import OutputWeight
from cnndsl.recipes.recipe import Recipe
from cnndsl.recipes.schedules import Step

RANDOM = {"he", "he_table", "he_local", "xavier", "normal"}
"""Initialisers of operators that make random numbers."""


@dataclass(frozen=True)
class Misfit:
    """What does not suit, at an argument of an item."""

    item: Item
    argument: str
    message: str
    hint: str | None = None


def misfits(recipe: Recipe, graph: Graph) -> Iterator[Misfit]:
    """What of a recipe does not suit a network."""
    for item in recipe.all(Initialiser):
        yield from _layers(item, graph)
    known = [*graph.outputs, *graph.auxiliaries]
    weighed: set[str] = set()
    for weight in recipe.all(OutputWeight):
        if weight.output not in known:
            hint = did_you_mean(weight.output, known) or f"there are: {', '.join(known)}"
            message = f"the network has no output {weight.output!r}"
            yield Misfit(weight, "output", message, hint)
        if weight.output in weighed:
            yield Misfit(weight, "output", f"output {weight.output!r} has two weights")
        weighed.add(weight.output)
    weights = recipe.all(OutputWeight)
    nothing = {weight.output for weight in weights if weight.weight == 0}
    nothing.update(name for name, auxiliary in graph.auxiliaries.items() if auxiliary.weight == 0)
    if weights and nothing.issuperset(known):
        yield Misfit(weights[-1], "weight", "no output has a weight over 0, so nothing is learned")
    for step in recipe.all(Step):
        said = [name for name in ("every", "at", "at_steps") if getattr(step, name) is not None]
        if len(said) > 1:
            yield Misfit(step, said[1], f"{' and '.join(said)} say when the rate falls in two ways")
    crops = recipe.all(Crop)
    shape = graph[graph.inputs[0]].type.shape[1:] if graph.inputs else ()
    sizes = [size for size in shape if isinstance(size, int)]
    size = max(sizes, default=0)
    if len(crops) > 1:
        yield Misfit(crops[1], "", "photos are cut out in one way", "leave one of the crops out")
    for shift in recipe.all(Shift):
        if 0 < (least := min(sizes, default=0)) <= shift.most:
            message = f"nothing is left of an input of {least} that is shifted by {shift.most}"
            yield Misfit(shift, "most", message)
    for crop in crops:
        if isinstance(crop, RandomCrop) and crop.scales[0] < size:
            message = f"photos of {crop.scales[0]} pixels do not cover the input of {size}"
            yield Misfit(crop, "scales", message)


def targets(item: Initialiser, graph: Graph) -> dict[str, Parameter]:
    """The parameters that an initialiser is for, by name."""
    found: dict[str, Parameter] = {}
    for node in graph.nodes():
        for part in node.parts:
            if item.of is not None and part.op.name not in item.of:
                continue
            held = {r: p for r, p in part.params.items() if isinstance(p, Parameter)}
            named = item.of is not None or isinstance(item, Pretrained)
            chosen = named or any(p.init in RANDOM for p in held.values())
            for role, parameter in held.items():
                layer = parameter.name.rpartition(".")[0]
                if item.at is not None and not any(fnmatchcase(layer, at) for at in item.at):
                    continue
                if item.role in (role, "*") and (chosen or item.at is not None):
                    found[parameter.name] = parameter
    return found


def _layers(item: Initialiser, graph: Graph) -> Iterator[Misfit]:
    names = {name.rpartition(".")[0] for name in graph.parameters()}
    for path in item.at or ():
        if not any(fnmatchcase(name, path) for name in names):
            hint = did_you_mean(path, names)
            yield Misfit(item, "at", f"no layer with weights has the path {path!r}", hint)
            return
    if item.of is not None and not targets(item, graph):
        message = f"the network has no {' or '.join(item.of)} with a {item.role}"
        short = any(op.name in item.of for op in SHORTHANDS)
        hint = "it stands for another operator: at=… names layers by their paths" if short else None
        yield Misfit(item, "of", message, hint)
