"""Weights with zeros: which to prune, and what is left to store.

Magnitude pruning: Han et al. 2015, Learning both Weights and Connections for Efficient Neural
Networks, section 3. The columns of `stored` are those of table 2 of Iandola et al. 2016,
SqueezeNet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators.bases import Linear
from cnndsl.ir.types import FLOAT32

Array: TypeAlias = NDArray[Any]
Scope = Literal["layer", "global"]


def prunable(graph: Graph) -> dict[str, Parameter]:
    """The learned kernels of convolutions and fully connected layers, by the paths of layers."""
    kernels = (node.params.get("weight") for node in graph.nodes() if isinstance(node.op, Linear))
    learned = (kernel for kernel in kernels if isinstance(kernel, Parameter) and kernel.learned)
    return {kernel.name.rpartition(".")[0]: kernel for kernel in learned}


def prune(
    graph: Graph,
    values: Mapping[str, Array],
    shares: Sequence[tuple[str, float]],
    scope: Scope = "layer",
) -> dict[str, Array]:
    """The values, with the smallest weights of the layers that patterns match set to zero.

    Each (pattern, share) takes that share, from 0 to 1, of the weights of each layer it matches, or
    with the scope `global` of all of them together. The first pattern that matches a layer counts.
    Biases and norms stay, and layers without values do not count. Raises CnnError (E0622) for a
    pattern that matches no layer.
    """
    kernels = {path: own for path, own in prunable(graph).items() if own.name in values}
    pruned = dict(values)
    left = dict(kernels)
    for pattern, share in shares:
        if not any(fnmatchcase(path, pattern) for path in kernels):
            hint = f"layers: {', '.join([*kernels][:6])}{', ...' if len(kernels) > 6 else ''}"
            raise CnnError.of("E0622", f"no layer with weights matches {pattern!r}", hint=hint)
        names = [left.pop(path).name for path in list(left) if fnmatchcase(path, pattern)]
        groups = [names] if scope == "global" else [[name] for name in names]
        for group in groups:
            pruned.update(_without_smallest({name: values[name] for name in group}, share))
    return pruned


def zeros(graph: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    """Where the kernels that can be pruned are zero, by the names of their weights.

    Raises CnnError (E0404) if none is anywhere.
    """
    found = {kernel.name: values[kernel.name] == 0 for kernel in prunable(graph).values()}
    if not any(zero.any() for zero in found.values()):
        message = "no kernel of the weights has a zero to keep"
        raise CnnError.of("E0404", message, hint="cnndsl weights prune makes some")
    return found


def _without_smallest(arrays: Mapping[str, Array], share: float) -> dict[str, Array]:
    """Of equal ones at the border the first stay zero, so that the count is exact."""
    if not arrays:
        return {}
    sizes = np.abs(np.concatenate([array.ravel() for array in arrays.values()]))
    count = round(share * sizes.size)
    zero = np.zeros(sizes.size, bool)
    if count:
        border = np.partition(sizes, count - 1)[count - 1]
        zero = sizes < border
        equal = np.flatnonzero(sizes == border)
        zero[equal[: count - int(zero.sum())]] = True
    ends = np.cumsum([array.size for array in arrays.values()])[:-1]
    return {
        name: np.where(part.reshape(array.shape), array.dtype.type(0), array)
        for (name, array), part in zip(arrays.items(), np.split(zero, ends), strict=True)
    }


@dataclass(frozen=True)
class Stored:
    """The learned numbers of a layer, and what the smallest of three simple forms takes.

    The forms: all as float32; those that are not zero as float32, and a bit for each number that
    tells which; or these as indices of `bits` into the list of distinct ones, and that list. `bits`
    is 32 for the first two.
    """

    layer: str
    numbers: int
    nonzero: int
    bits: int
    bytes: int

    @property
    def sparsity(self) -> float:
        """The share of zeros."""
        return 1 - self.nonzero / self.numbers if self.numbers else 0.0


def stored(graph: Graph, values: Mapping[str, Array]) -> list[Stored]:
    """A row for each layer with learned parameters, in order of execution."""
    layers: dict[str, list[Array]] = {}
    for parameter in graph.parameters().values():
        if parameter.learned:
            layers.setdefault(parameter.name.rpartition(".")[0], []).append(values[parameter.name])
    return [_stored(layer, arrays) for layer, arrays in layers.items()]


def whole(rows: Iterable[Stored]) -> Stored:
    """All layers together; `bits` are the mean of the numbers that are not zero."""
    rows = list(rows)
    numbers, nonzero = sum(row.numbers for row in rows), sum(row.nonzero for row in rows)
    bits = sum(row.bits * row.nonzero for row in rows) / max(nonzero, 1)
    return Stored("total", numbers, nonzero, round(bits), sum(row.bytes for row in rows))


def _stored(layer: str, arrays: Sequence[Array]) -> Stored:
    numbers = np.concatenate([array.ravel() for array in arrays]).astype(np.float32)
    some = numbers[numbers != 0]
    distinct = np.unique(some).size
    width = 8 * FLOAT32.bytes
    index = max(1, math.ceil(math.log2(distinct))) if distinct else 0
    mask = numbers.size if some.size < numbers.size else 0
    plain = min(width * numbers.size, mask + width * some.size)
    listed = mask + index * some.size + width * distinct
    bits = index if listed < plain else width
    return Stored(layer, numbers.size, some.size, bits, -(-min(plain, listed) // 8))
