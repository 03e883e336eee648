"""The smallest values of open sizes for which every window fits its input and sees it.

A runtime may not notice that a map has become empty: onnxruntime rounds the size of pooled maps
towards zero and then makes numbers up. The limits travel in a model's metadata.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial

from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import Dim, OpenDim
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators.pooling import Pool
from cnndsl.ir.operators.positions import Pad
from cnndsl.runtime.module import Array, Port

KEY = "cnndsl.smallest_sizes"
"""Metadata key; the value is a JSON object from open sizes to whole numbers."""

PLENTY = 2**20
"""A size that no window exceeds."""


def smallest_sizes(graph: Graph) -> dict[str, int]:
    """For each open size of the inputs the least value with which every map is large enough.

    Sizes only grow with those of the inputs, so the least value is found by bisection.
    """
    least: dict[OpenDim, int] = {}
    for dim, size in _needed(graph):
        if isinstance(dim, OpenDim):
            least[dim] = max(size, least.get(dim, 1))
    inputs = [dim for name in graph.inputs for dim in graph[name].type.shape]
    opened = dict.fromkeys(dim for dim in inputs if isinstance(dim, OpenDim))
    symbols = dict.fromkeys(name for dim in opened for name in dim.symbols())

    def suffices(symbol: str, size: int) -> bool:
        sizes = defaultdict(lambda: PLENTY, {symbol: size})
        return all(dim.evaluate(sizes) >= needed for dim, needed in least.items())

    smallest = {
        name: 1 + bisect_left(range(1, PLENTY), True, key=partial(suffices, name))
        for name in symbols
    }
    return {str(dim): dim.evaluate(smallest) for dim in opened}


def _needed(graph: Graph) -> Iterator[tuple[Dim, int]]:
    """Sizes of maps, and what they are at least: 1, and what pools and padding need."""
    for node in graph.nodes():
        yield from ((dim, 1) for dim in node.type.shape)
        if isinstance(node.op, Pool | Pad):
            (x,) = graph.input_types(node)
            yield from zip(x.spatial, node.op.least_sizes, strict=True)


def to_metadata(sizes: Mapping[str, int]) -> dict[str, str]:
    """The metadata entry, or none if all sizes are known."""
    return {KEY: json.dumps(dict(sizes))} if sizes else {}


def from_metadata(metadata: Mapping[str, str]) -> dict[str, int]:
    """The sizes, none for models of other producers. Raises ValueError if the entry is broken."""
    sizes = json.loads(metadata.get(KEY, "{}"))
    if not isinstance(sizes, dict) or not all(type(size) is int for size in sizes.values()):
        raise ValueError(f"the metadata entry {KEY} is broken")
    return sizes


def check_sizes(port: Port, array: Array, smallest: Mapping[str, int]) -> None:
    """Raise CnnError (E0702) if a batched input is too small for the network's windows."""
    for dim, size in zip(port.type.shape, array.shape[1:], strict=True):
        least = smallest.get(str(dim), 1)
        if size < least:
            raise CnnError.of(
                "E0702", f"input {port.name!r} is too small: {dim} is {size}, the least is {least}"
            )
