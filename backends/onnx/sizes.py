"""The smallest values of open sizes for which no window is larger than its input.

A runtime may not notice that a map has become empty: onnxruntime rounds the size of pooled maps
towards zero and then makes numbers up. The limits travel in the model's metadata.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from functools import partial

from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array, Port

KEY = "cnndsl.smallest_sizes"
"""Metadata key; the value is a JSON object from open sizes to whole numbers."""

PLENTY = 2**20
"""A size that no window exceeds."""


def smallest_sizes(graph: Graph) -> dict[str, int]:
    """For each open size of the inputs the least value that leaves every map at least 1 wide.

    Sizes only grow with those of the inputs, so the least value is found by bisection.
    """
    dims = {d for node in graph.nodes() for d in node.type.shape if isinstance(d, OpenDim)}
    inputs = [d for name in graph.inputs for d in graph[name].type.shape]
    plenty = {str(dim): PLENTY for dim in inputs if isinstance(dim, OpenDim)}

    def suffices(symbol: str, size: int) -> bool:
        return all(dim.evaluate(plenty | {symbol: size}) >= 1 for dim in dims)

    return {
        symbol: 1 + bisect_left(range(1, PLENTY), True, key=partial(suffices, symbol))
        for symbol in plenty
    }


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
