"""From a framework's arrays to the parameters of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError
from cnndsl.ir.described import Described
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.weights.bind import Bound, bind, with_slopes
from cnndsl.weights.buffers import Weights
from cnndsl.weights.conversion import keras
from cnndsl.weights.conversion.layers import layers_of, squeezed
from cnndsl.weights.conversion.maps import all_rules, index, zoo_rules
from cnndsl.weights.conversion.match import match
from cnndsl.weights.rename import Rules

Array = NDArray[Any]

SOURCES = ("torchvision", "timm", "keras", "auto")
COUNTER = "num_batches_tracked"


def convert(
    arrays: Mapping[str, Array],
    network: Described,
    source: str = "auto",
    rules: Rules | None = None,
) -> Bound:
    """The float32 arrays of all the network's parameters, out of a framework's, by name.

    `torchvision` and `timm` rename by the zoo's rules (`networks/weights`). `keras` brings Keras'
    layouts into this project's and goes by names, kinds and shapes (see `match`), and so does
    `auto` unless the arrays have the network's names, or get them by rules of the zoo. Where
    `rules` are given they name the arrays instead; those of Keras have this project's roles and
    layouts by then. Kernels of 1x1 and matrices of fully connected layers stand for one another.

    Raises CnnError: E0413 without rules from the source to the network, E0414 and E0415 if `match`
    cannot decide, and the errors of `bind`, which has the warnings too.
    """
    if source not in SOURCES:
        raise CnnError.of("E0604", f"no source {source!r}", hint=f"sources: {', '.join(SOURCES)}")
    graph = network.declared or network.graph
    parameters = graph.parameters()
    remarks = arrays.warnings if isinstance(arrays, Weights) else ()
    given = {name: np.asarray(a) for name, a in arrays.items() if not name.endswith(COUNTER)}
    is_keras = source == "keras" or keras.is_keras(given)
    if rules is not None:
        renamed = _by_rules(given, rules, graph, is_keras=is_keras)
    elif source in index():
        renamed = zoo_rules(source, network.name).apply(given)
    elif is_keras:
        renamed = _matched(keras.converted(given), graph, is_keras=True)
    else:
        candidates = (_shaped(c, parameters) for c in _candidates(given))
        fitting = next((c for c in candidates if _fits(c, parameters)), None)
        renamed = _matched(given, graph) if fitting is None else fitting
    bound = bind(parameters, _shaped(renamed, parameters), seed=None)
    return replace(bound, warnings=(*remarks, *bound.warnings))


def _candidates(given: dict[str, Array]) -> Iterator[dict[str, Array]]:
    """The arrays under their own names, and as all rules of the zoo rename them."""
    yield given
    for rules in all_rules():
        with suppress(CnnError):
            yield rules.apply(given)


def _fits(arrays: Mapping[str, Array], parameters: Mapping[str, Parameter]) -> bool:
    return all(n in arrays and arrays[n].shape == p.shape for n, p in parameters.items())


def _shaped(arrays: Mapping[str, Array], parameters: Mapping[str, Parameter]) -> dict[str, Array]:
    """The arrays, those that differ from their parameter by ones at the end reshaped.

    Single slopes become slopes for all channels.
    """
    shaped = dict(arrays)
    for name in arrays.keys() & parameters.keys():
        shape = parameters[name].shape
        array = with_slopes(arrays[name], parameters[name])
        fits = squeezed(array.shape) == squeezed(shape)
        shaped[name] = array.reshape(shape) if fits else array
    return shaped


def _by_rules(
    given: Mapping[str, Array], rules: Rules, graph: Graph, *, is_keras: bool
) -> dict[str, Array]:
    """The arrays under the names that rules give them."""
    if not is_keras:
        return rules.apply(given)
    renamed = rules.apply(keras.converted(given))
    for name, array in renamed.items():
        layer, _, role = name.rpartition(".")
        if role == "weight":
            renamed[name] = keras.flattened_channels_first(array, graph, layer)
    return renamed


def _matched(
    given: Mapping[str, Array], graph: Graph, *, is_keras: bool = False
) -> dict[str, Array]:
    """The arrays under the names of the layers that `match` finds, the others under their own."""
    rest = dict(given)
    renamed: dict[str, Array] = {}
    for source, target in match(layers_of((n, a.shape) for n, a in given.items()), graph):
        for role in source.shapes:
            array = rest.pop(source.array(role))
            if is_keras and role == "weight":
                array = keras.flattened_channels_first(array, graph, target.name)
            renamed[target.array(role)] = array
    return rest | renamed
