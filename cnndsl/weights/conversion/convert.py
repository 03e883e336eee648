"""From a framework's arrays to the parameters of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError
from cnndsl.ir.described import Described
from cnndsl.ir.expressions import Parameter
from cnndsl.weights.bind import Bound, bind, with_slopes
from cnndsl.weights.buffers import Weights
from cnndsl.weights.conversion import keras
from cnndsl.weights.conversion.forms import Forms
from cnndsl.weights.conversion.pairing import Pairing, pair
from cnndsl.weights.rename import Rules

Array = NDArray[Any]

SOURCES = ("torchvision", "timm", "keras", "auto")
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Converted(Bound):
    """Arrays by parameter, and `names`: by parameter that of the file, and what paired them."""

    names: dict[str, str]
    by: str


def convert(
    arrays: Mapping[str, Array],
    network: Described,
    source: str = "auto",
    rules: Rules | None = None,
) -> Converted:
    """The float32 arrays of all the network's parameters, out of a framework's, by name.

    Where `rules` are given they name the arrays; otherwise `pair` does, for `torchvision` and
    `timm` by their rules of the zoo alone if these name everything. Arrays of Keras are brought
    into this project's roles and layouts first. Kernels over a whole map, 1x1 ones among them, and
    matrices of fully connected layers stand for one another.

    Raises CnnError: E0413, E0414 and E0415 as `pair` does, and the errors of `bind`, which has the
    warnings too.
    """
    if source not in SOURCES:
        raise CnnError.of("E0604", f"no source {source!r}", hint=f"sources: {', '.join(SOURCES)}")
    graph = network.declared or network.graph
    forms = Forms.of(graph)
    remarks = arrays.warnings if isinstance(arrays, Weights) else ()
    given = {name: np.asarray(a) for name, a in arrays.items() if not name.endswith(COUNTER)}
    is_keras = source == "keras" or keras.is_keras(given)
    if is_keras:
        given = keras.converted(given)
    if rules is not None:
        pairing = Pairing(rules.apply({name: name for name in given}), "the given rules")
    else:
        shapes = {name: array.shape for name, array in given.items()}
        pairing = pair(shapes, graph, source, network.name)
    renamed = {target: given[name] for target, name in pairing.names.items()}
    if is_keras:
        for layer, kernel in forms.kernels.items():
            name = f"{layer}.weight"
            if name in renamed and renamed[name].ndim == 2:
                renamed[name] = keras.flattened_channels_first(renamed[name], kernel)
    parameters = graph.parameters()
    bound = bind(parameters, _shaped(renamed, parameters, forms), seed=None)
    names = {name: pairing.names[name] for name in bound.values}
    return Converted(bound.values, (*remarks, *bound.warnings), names, pairing.by)


def _shaped(
    arrays: Mapping[str, Array], parameters: Mapping[str, Parameter], forms: Forms
) -> dict[str, Array]:
    """The arrays, those that differ from their parameter by form alone reshaped or repeated."""
    shaped = dict(arrays)
    for name in arrays.keys() & parameters.keys():
        if forms.fits(parameters[name], arrays[name].shape):
            array = with_slopes(arrays[name], parameters[name])
            shaped[name] = array.reshape(parameters[name].shape)
    return shaped
