"""What an ONNX file is called, and can hold."""

from __future__ import annotations

import math

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import FLOAT32

SUFFIX = ".onnx"
LARGEST_FILE = 2**31 - 1
"""Bytes in a protobuf message, at most."""


def check_graph(graph: Graph) -> None:
    """Raise CnnError (E0701) if a graph's weights, which need not exist yet, are too large."""
    weights = {weight for node in graph.nodes() for weight in node.params.values()}
    check_bytes(sum(FLOAT32.bytes * math.prod(weight.shape) for weight in weights))


def check_bytes(weights: int) -> None:
    """Raise CnnError (E0701) if so many bytes do not fit into one file."""
    if weights > LARGEST_FILE:
        raise CnnError.of(
            "E0701",
            f"the weights take {weights / 2**30:,.1f} GiB, an ONNX file holds 2 GiB at most",
            hint="use fewer filters, or another target",
        )
