"""What training makes small: a number for each output, auxiliary ones with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import LogSoftmax, Softmax
from cnndsl.train.recipe import Recipe

JUNK = 1.0
"""The constant j of the MAP criterion: e^-j is the weight of what is no class."""


@dataclass(frozen=True)
class Loss:
    """The loss of a network by its outputs: `weights` by name, `forms` what each of them holds."""

    recipe: Recipe
    weights: Mapping[str, float]
    forms: Mapping[str, str]

    def __call__(self, outputs: Mapping[str, Tensor], labels: Tensor) -> Tensor:
        """The sum over the outputs, a mean over the batch."""
        terms = [
            self.weights[name] * self._of(self.forms[name], value.flatten(1), labels)
            for name, value in outputs.items()
        ]
        return torch.stack(terms).sum()

    def scores(self, name: str, value: Tensor) -> Tensor:
        """The output as numbers of which the largest is the answer."""
        return -value.flatten(1) if self.forms[name] == "distances" else value.flatten(1)

    def _of(self, form: str, value: Tensor, labels: Tensor) -> Tensor:
        kind = self.recipe.loss
        if kind == "map" or (kind == "auto" and form == "distances"):
            return map_criterion(value if form == "distances" else -value, labels)
        if kind == "mse":
            target = F.one_hot(labels, value.shape[1]).to(value.dtype)
            return F.mse_loss(value, target)
        if form == "distances":
            value = -value
        if form == "probabilities":
            value = value.clamp(min=torch.finfo(value.dtype).tiny).log()
        return F.cross_entropy(value, labels, label_smoothing=self.recipe.smoothing)


def map_criterion(distances: Tensor, labels: Tensor) -> Tensor:
    """mean of y_D + log(e^-j + sum_i e^-y_i), D the class (LeCun et al. 1998, equation 9)."""
    junk = distances.new_full((len(distances), 1), -JUNK)
    rest = torch.logsumexp(torch.cat([junk, -distances], 1), 1)
    return (distances.gather(1, labels[:, None])[:, 0] + rest).mean()


def loss_of(graph: Graph, distances: list[str], recipe: Recipe, classes: int) -> Loss:
    """The loss of a network. Raises CnnError (E0604) if an output has not a number for each class.

    `distances` are the outputs of which the least is the best.
    """
    nodes = dict(graph.outputs) | {n: aux.node for n, aux in graph.auxiliaries.items()}
    weights = dict.fromkeys(graph.outputs, 1.0)
    weights |= {name: aux.weight for name, aux in graph.auxiliaries.items()}
    forms = {}
    for name, node in nodes.items():
        if graph[node].type.elements != classes:
            message = f"output {name!r} is {graph[node].type}, there are {classes} classes"
            raise CnnError.of("E0604", message, hint="--set classes=N, if the network has that")
        op = graph[node].op
        forms[name] = "distances" if name in distances else "scores"
        if isinstance(op, Softmax | LogSoftmax):
            forms[name] = "probabilities" if isinstance(op, Softmax) else "scores"
    return Loss(recipe, weights, forms)
