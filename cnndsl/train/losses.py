"""What training makes small: a number for each output, auxiliary ones with their weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import LogSoftmax, Softmax
from cnndsl.recipes.losses import CrossEntropy, Loss, MapCriterion, MeanSquaredError, OutputWeight
from cnndsl.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

DISTANCES, PROBABILITIES, SCORES = "distances", "probabilities", "scores"
"""What an output holds for each class."""


@dataclass(frozen=True)
class Objective:
    """The losses of a network by its outputs: with their `weights`, and the `forms` of these."""

    losses: Mapping[str, Loss]
    weights: Mapping[str, float]
    forms: Mapping[str, str]

    def __call__(self, outputs: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        """The sum over the outputs, a mean over the batch."""
        import torch

        terms = []
        for name, value in outputs.items():
            loss = self.losses[name]
            term = TERMS[type(loss)](loss, value.flatten(1), self.forms[name], labels)
            terms.append(self.weights[name] * term)
        return torch.stack(terms).sum()

    def scores(self, name: str, value: Tensor) -> Tensor:
        """The output as numbers of which the largest is the answer."""
        return -value.flatten(1) if self.forms[name] == DISTANCES else value.flatten(1)


def _cross_entropy(item: CrossEntropy, value: Tensor, form: str, labels: Tensor) -> Tensor:
    import torch

    if form == DISTANCES:
        value = -value
    if form == PROBABILITIES:
        value = value.clamp(min=torch.finfo(value.dtype).tiny).log()
    function = torch.nn.functional.cross_entropy
    return function(value, labels, label_smoothing=item.smoothing)


def _squares(item: MeanSquaredError, value: Tensor, form: str, labels: Tensor) -> Tensor:
    from torch.nn import functional

    target = functional.one_hot(labels, value.shape[1]).to(value.dtype)
    return functional.mse_loss(value, target)


def _map(item: MapCriterion, value: Tensor, form: str, labels: Tensor) -> Tensor:
    import torch

    distances = value if form == DISTANCES else -value
    junk = distances.new_full((len(distances), 1), -item.junk)
    rest = torch.logsumexp(torch.cat([junk, -distances], 1), 1)
    return (distances.gather(1, labels[:, None])[:, 0] + rest).mean()


TERMS: dict[type[Loss], Callable[[Any, Tensor, str, Tensor], Tensor]] = {
    CrossEntropy: _cross_entropy,
    MeanSquaredError: _squares,
    MapCriterion: _map,
}


def reads_scores(recipe: Recipe) -> bool:
    """Whether the loss is of scores also where the network ends in probabilities.

    mse is of what the network gives; the others tell scores from probabilities, and scores are
    more exact.
    """
    return not isinstance(recipe.loss, MeanSquaredError)


def objective_of(graph: Graph, distances: list[str], recipe: Recipe, classes: int) -> Objective:
    """What a recipe makes small of a network.

    `distances` are the outputs of which the least is the best. Raises CnnError (E0604) if an output
    has not a number for each class.
    """
    nodes = dict(graph.outputs) | {n: aux.node for n, aux in graph.auxiliaries.items()}
    weights = dict.fromkeys(graph.outputs, 1.0)
    weights |= {name: aux.weight for name, aux in graph.auxiliaries.items()}
    weights |= {item.output: item.weight for item in recipe.all(OutputWeight)}
    losses, forms = {}, {}
    for name, node in nodes.items():
        if graph[node].type.elements != classes:
            message = f"output {name!r} is {graph[node].type}, there are {classes} classes"
            raise CnnError.of("E0604", message, hint="--set classes=N, if the network has that")
        op = graph[node].op
        forms[name] = DISTANCES if name in distances else SCORES
        if isinstance(op, Softmax | LogSoftmax):
            forms[name] = PROBABILITIES if isinstance(op, Softmax) else SCORES
        usual: Loss = MapCriterion() if forms[name] == DISTANCES else CrossEntropy()
        losses[name] = recipe.loss or usual
    return Objective(losses, weights, forms)
