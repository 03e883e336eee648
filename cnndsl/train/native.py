"""Steps by the target `cpu`: the gradient graph as native code, the optimiser in numpy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.analysis.ranking import smaller_is_better
from cnndsl.api import compile as compile_network
from cnndsl.api import gradients
from cnndsl.autodiff.gradients import SUFFIX as GRADIENT
from cnndsl.autodiff.losses import JUNK
from cnndsl.autodiff.meaning import SUFFIX as UPDATED
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Dropout, DropPath, StochasticDepth
from cnndsl.network import Network
from cnndsl.passes.logits import with_logits
from cnndsl.passes.pipeline import inference_graph
from cnndsl.recipes.augmentations import PcaColour
from cnndsl.recipes.losses import CrossEntropy, Loss, MapCriterion, MeanSquaredError
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.train.changes import changed, colours_of
from cnndsl.train.checkpoint import read_written, write_arrays
from cnndsl.train.data import Data, Images
from cnndsl.train.descent import Descent
from cnndsl.train.initial import initial_weights
from cnndsl.train.loop import Loop
from cnndsl.train.losses import (
    DISTANCES,
    PROBABILITIES,
    Objective,
    objective_of,
    reads_scores,
)
from cnndsl.train.numbers import Numbers
from cnndsl.train.plan import Epoch, Plan
from cnndsl.weights.bind import bind, warn_of
from cnndsl.weights.moments import starts
from cnndsl.weights.sparsity import zeros

SAMPLES = 256
"""Samples of a batch that is evaluated, and of those that tell the colours."""


def train(network: Network, data: Data, recipe: Recipe, plan: Plan) -> list[Epoch]:
    """Train a network without PyTorch; returns all epochs.

    Raises CnnError: E0763 if the loss is not finite, E0615 for what only PyTorch does, E0630 if
    gradients need more memory than asked for, and what compiling for the target `cpu` raises.
    """
    return NativeTraining(network, data, recipe, plan).run()


class NativeTraining(Loop):
    """One run of training."""

    def __init__(self, network: Network, data: Data, recipe: Recipe, plan: Plan):
        super().__init__(network, data, recipe, plan)
        _require(recipe, plan)
        judged = with_logits(network.graph) if reads_scores(recipe) else network.graph
        distances = smaller_is_better(network.graph)
        self.objective = objective_of(judged, distances, recipe, len(data.classes))
        self.output = next(iter(network.graph.outputs))
        self.network = _weighted(network, self.objective)
        self.gradients = gradients(
            self.network, _loss_of(recipe.loss), recompute=plan.recompute, batch=recipe.batch
        )
        values = _first_values(network, recipe, plan)
        outputs = self.gradients.graph.outputs
        learned = [n.removesuffix(GRADIENT) for n in outputs if n.endswith(GRADIENT)]
        self.numbers = Numbers(values, learned)
        self.zeros = self._zeros(values, learned) if plan.keep_zeros else None
        self.descent = Descent(recipe.optimiser, recipe.clip)
        self.average: Array | None = None
        self.steps: dict[int, _Step] = {}
        self.random = np.random.default_rng(plan.seed)
        self.colours = self._colours() if recipe.all(PcaColour) else None
        known = inference_graph(judged).parameters()
        self.inference: Any = compile_network(
            Network(judged), "cpu", weights={n: values[n] for n in known}, threads=plan.threads
        )

    def _colours(self) -> Array:
        order = np.random.default_rng(self.plan.seed).permutation(len(self.data.train))
        return colours_of(self.data.train.batch(order[:SAMPLES])[0])

    def _zeros(self, values: Mapping[str, Array], learned: Sequence[str]) -> Array:
        """Which of all learned numbers are zeros of kernels."""
        known = zeros(self.network.graph, values)
        return np.concatenate(
            [known.get(name, np.zeros(values[name].shape, bool)).ravel() for name in learned]
        )

    def begin(self, seeds: tuple[int, int, int]) -> None:
        """See `Loop`."""
        self.random = np.random.default_rng(seeds)

    def step(self, x: Array, labels: Array, rate: float) -> float:
        """See `Loop`. The code for a batch of another size is made when it comes first."""
        if len(x) not in self.steps:
            self.steps[len(x)] = _Step(self, len(x))
        x = changed(x, self.recipe, self.random, self.colours)
        found = self.steps[len(x)].run(x, labels)
        numbers = self.numbers
        gradients = numbers.packed({n.removesuffix(GRADIENT): a for n, a in found.items()
                                    if n.endswith(GRADIENT)})  # fmt: skip
        if self.zeros is not None:
            gradients[self.zeros] = 0
        with np.errstate(over="ignore", invalid="ignore"):  # the next loss tells
            self.descent.step(numbers.learned, gradients, rate)
        for name, array in found.items():
            if name.endswith(UPDATED):
                numbers.views[name.removesuffix(UPDATED)][...] = array
        if self.recipe.average:
            self._follow(self.recipe.average)
        return float(found["loss"][0])

    def _follow(self, decay: float) -> None:
        """The moving average of all weights begins with those after the first step."""
        if self.average is None:
            self.average = self.numbers.all.copy()
        else:
            self.average += (1 - decay) * (self.numbers.all - self.average)

    def evaluate(self, images: Images) -> tuple[float, float]:
        """See `Loop`."""
        known = self.inference.artefact.packing.parameters()
        self.inference.set_weights({n: a for n, a in self.weights().items() if n in known})
        (port,) = self.inference.inputs
        loss, right = 0.0, 0.0
        for start in range(0, len(images), SAMPLES):
            x, labels = images.batch(np.arange(start, min(start + SAMPLES, len(images))))
            outputs = self.inference.run({port.name: np.ascontiguousarray(x, np.float32)})
            rows = {n: array.reshape(len(x), -1) for n, array in outputs.items()}
            for output, value in rows.items():
                weight = self.objective.weights[output]
                item, form = self.objective.losses[output], self.objective.forms[output]
                loss += weight * float(loss_terms(item, value, form, labels).sum())
            scores = rows[self.output]
            if self.objective.forms[self.output] == DISTANCES:
                scores = -scores
            right += float((scores.argmax(1) == labels).sum())
        return loss / len(images), right / len(images)

    def weights(self) -> dict[str, Array]:
        """See `Loop`."""
        if self.average is None:
            return self.numbers.arrays(self.numbers.all)
        return self.numbers.arrays(self.average)

    def write(self, path: Path, facts: Mapping[str, Any]) -> None:
        """See `Loop`."""
        write_arrays(path, facts, self._state())

    def _state(self) -> dict[str, Array]:
        state = {"weights": self.numbers.all}
        state |= {f"state.{name}": array for name, array in self.descent.state.items()}
        return state | ({} if self.average is None else {"average": self.average})

    def read(self, path: Path) -> list[dict[str, Any]]:
        """See `Loop`."""
        facts, arrays = read_written(path, self.facts)
        self.numbers.all[...] = arrays["weights"]
        self.average = arrays.get("average")
        self.descent.state = {
            name.removeprefix("state."): array.copy()
            for name, array in arrays.items()
            if name.startswith("state.")
        }
        return list(facts["epochs"])


class _Step:
    """The compiled step for a batch of one size."""

    def __init__(self, training: NativeTraining, batch: int):
        self.training, self.batch = training, batch
        net = training.gradients
        module: Any = compile_network(
            net,
            "cpu",
            weights={n: training.numbers.views[n] for n in net.graph.parameters()},
            batch=batch,
            threads=training.plan.threads,
        )
        self.module = module
        self.refill = module.refill(training.numbers.buffer, training.numbers.views)
        graph = training.network.graph
        (self.image,) = graph.inputs
        self.masks = {
            name: graph[name.removesuffix(".mask")].op
            for name in net.graph.inputs
            if name.endswith(".mask") and name not in graph.inputs
        }
        self.targets = {
            name: net.graph[name].type.sizes
            for name in net.graph.inputs
            if name not in graph.inputs and name not in self.masks
        }
        self.sizes = {name: net.graph[name].type.sizes for name in self.masks}

    def run(self, x: Array, labels: Array) -> dict[str, Array]:
        """The loss, the gradients, the updated statistics."""
        target = self._target(labels)
        given = {self.image: np.ascontiguousarray(x, np.float32)}
        given |= {n: target.reshape(self.batch, *sizes) for n, sizes in self.targets.items()}
        given |= {name: self._mask(op, self.sizes[name]) for name, op in self.masks.items()}
        self.refill()
        found: dict[str, Array] = self.module.run(given)
        return found

    def _target(self, labels: Array) -> Array:
        classes = len(self.training.data.classes)
        loss = self.training.recipe.loss
        smoothing = loss.smoothing if isinstance(loss, CrossEntropy) else 0.0
        return smoothed(labels, classes, smoothing)

    def _mask(self, op: Any, sizes: tuple[int, ...]) -> Array:
        """What is drawn for a batch."""
        random = self.training.random
        if isinstance(op, StochasticDepth):
            count = self.batch if op.per_sample else 1
            drawn = random.random((count, *sizes)) < op.survival
            return np.broadcast_to(drawn, (self.batch, *sizes)).astype(np.float32)
        assert isinstance(op, Dropout | DropPath)
        kept = random.random((self.batch, *sizes)) >= op.rate
        return (kept / (1 - op.rate)).astype(np.float32)


def _require(recipe: Recipe, plan: Plan) -> None:
    """Raise CnnError (E0615) for what only PyTorch does."""
    hint = "leave out --engine native"
    if recipe.precision != "f32":
        message = f"the native engine trains in f32, not in {recipe.precision}"
        raise CnnError.of("E0615", message, hint=hint)
    if plan.device == "cuda" or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        message = "the native engine trains on the CPU, in one process"
        raise CnnError.of("E0615", message, hint=hint)


def _loss_of(item: Loss | None) -> str:
    """The loss as gradient graphs name it. Raises CnnError (E0615) for a constant they lack."""
    if item is None:
        return "auto"
    if isinstance(item, MapCriterion) and item.junk != JUNK:
        message = f"the native engine has map with junk 1, not {item.junk:g}"
        raise CnnError.of("E0615", message, hint="leave out --engine native")
    return item.name


def _weighted(network: Network, objective: Objective) -> Network:
    """The network with the weights of auxiliary outputs that an objective has.

    Raises CnnError (E0615) if it weighs others.
    """
    graph = network.graph.copy()
    for name in graph.outputs:
        if objective.weights[name] != 1:
            message = f"the native engine weighs auxiliary outputs only, not {name!r}"
            raise CnnError.of("E0615", message, hint="leave out --engine native")
    graph.auxiliaries = {
        name: replace(auxiliary, weight=objective.weights[name])
        for name, auxiliary in graph.auxiliaries.items()
    }
    return Network(graph)


def _first_values(network: Network, recipe: Recipe, plan: Plan) -> dict[str, Array]:
    """The arrays to start from, as the PyTorch engine has them."""
    graph: Graph = network.graph
    arrays = network.arrays(plan.weights, None)
    start = None if arrays else starts(inference_graph(graph))
    bound = bind(graph.parameters(), arrays, seed=plan.seed, starts=start)
    warn_of(bound)
    values = dict(bound.values)
    if plan.weights is None:
        values |= initial_weights(graph, recipe, plan.seed)
    return values


def smoothed(labels: Array, classes: int, smoothing: float) -> Array:
    """[batch, classes]: 1 for the class, of which a share is spread evenly over all."""
    target = np.full((len(labels), classes), smoothing / classes, np.float32)
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return target


def loss_terms(item: Loss, value: Array, form: str, labels: Array) -> Array:
    """The loss of each sample of an output [batch, classes]."""
    value = value.astype(np.float64)
    own = np.arange(len(labels)), labels
    if isinstance(item, MeanSquaredError):
        return np.asarray(np.square(value - smoothed(labels, value.shape[1], 0)).mean(1))
    if isinstance(item, MapCriterion):
        distances = value if form == DISTANCES else -value
        rest = np.exp(-item.junk) + np.exp(-distances).sum(1)
        return np.asarray(distances[own] + np.log(rest))
    assert isinstance(item, CrossEntropy)
    if form == PROBABILITIES:
        value = np.log(value.clip(min=np.finfo(np.float32).tiny))
    value = -value if form == DISTANCES else value
    with np.errstate(invalid="ignore"):  # infinities, of which the loop tells
        value = value - value.max(1, keepdims=True)
    logs = value - np.log(np.exp(value).sum(1, keepdims=True))
    return np.asarray(-(smoothed(labels, value.shape[1], item.smoothing) * logs).sum(1))
