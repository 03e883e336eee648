"""What the initialisers of a recipe give weights before training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.recipes import initialisers
from cnndsl.recipes.fitting import targets
from cnndsl.recipes.initialisers import Initialiser, Pretrained
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.weights.initialise import fans, random_for
from cnndsl.weights.rename import read_weights


def initial_weights(graph: Graph, recipe: Recipe, seed: int) -> dict[str, Array]:
    """Float32 arrays by name for the weights that a recipe initialises.

    Each depends on the seed and its name alone. Raises CnnError as
    `cnndsl.weights.rename.read_weights` does for a file, E0404 if none of its weights is there, and
    E0225 where a table of channels has no fan out.
    """
    found: dict[str, Array] = {}
    for item in recipe.all(Initialiser):
        parameters = targets(item, graph)
        if isinstance(item, Pretrained):
            found |= _read(item, parameters)
            continue
        make = MAKERS[type(item)]
        for name, parameter in parameters.items():
            found[name] = make(item, parameter, random_for(name, seed)).astype(np.float32)
    return found


def _read(item: Pretrained, parameters: Mapping[str, Parameter]) -> dict[str, Array]:
    arrays = read_weights(item.file, None) or {}
    fitting = {
        name: np.asarray(arrays[name], np.float32)
        for name, parameter in parameters.items()
        if name in arrays and arrays[name].shape == parameter.shape
    }
    if not fitting:
        message = f"{item.file} has no weight of the network by name and shape"
        raise CnnError.of("E0404", message)
    return fitting


def _fan(parameter: Parameter, which: str) -> float:
    found = fans(parameter)[which == "fan_out"]
    if found is None:
        message = f"{parameter.name} has no fan out: its table may use channels unequally often"
        raise CnnError.of("E0225", message, hint="he(fan=fan_in), or another initialiser")
    return found


def _random(shape: str, deviation: float, parameter: Parameter, random: Any) -> Array:
    if shape == "uniform":
        limit = math.sqrt(3) * deviation
        return np.asarray(random.uniform(-limit, limit, parameter.shape))
    return np.asarray(random.normal(0, deviation, parameter.shape))


def _he(item: initialisers.He, parameter: Parameter, random: Any) -> Array:
    return _random(item.shape, math.sqrt(2 / _fan(parameter, item.fan)), parameter, random)


def _xavier(item: initialisers.Xavier, parameter: Parameter, random: Any) -> Array:
    both = _fan(parameter, "fan_in") + _fan(parameter, "fan_out")
    return _random(item.shape, math.sqrt(2 / both), parameter, random)


def _gaussian(item: initialisers.Gaussian, parameter: Parameter, random: Any) -> Array:
    numbers = random.standard_normal(parameter.shape)
    while item.truncated and (beyond := np.abs(numbers) > 2).any():
        numbers[beyond] = random.standard_normal(beyond.sum())
    return np.asarray(item.mean + item.deviation * numbers)


def _uniform(item: initialisers.Uniform, parameter: Parameter, random: Any) -> Array:
    limit = item.limit / (_fan(parameter, "fan_in") if item.per_fan else 1)
    return np.asarray(random.uniform(-limit, limit, parameter.shape))


def _fill(item: initialisers.Fill | initialisers.Bias, parameter: Parameter, random: Any) -> Array:
    return np.full(parameter.shape, item.value)


MAKERS: dict[type[Initialiser], Callable[[Any, Parameter, Any], Array]] = {
    initialisers.He: _he,
    initialisers.Xavier: _xavier,
    initialisers.Gaussian: _gaussian,
    initialisers.Uniform: _uniform,
    initialisers.Fill: _fill,
    initialisers.Bias: _fill,
}
