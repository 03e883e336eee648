"""W0304: widths that are no multiple of 8, where more than a tenth is wasted.

Source: NVIDIA, Deep learning performance documentation, Convolutional layers user's guide; AVX2 and
AVX-512 hold 8 and 16 float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators.bases import Linear
from cnndsl.ir.operators.convolution import Conv
from cnndsl.ir.operators.dense import FullyConnected
from cnndsl.lint.lint import Remark

CODE = "W0304"
LANES = 8
WASTE = 0.1
"""Share of the lanes that may idle."""


def wasted_lanes(graph: Graph) -> Iterator[Remark]:
    """Ungrouped convolutions and fully connected layers of such a width that feed further ones."""
    for node in graph.nodes():
        op = node.op
        if isinstance(op, Conv):
            width = op.filters if op.groups == 1 else 0
        else:
            width = op.units if isinstance(op, FullyConnected) else 0
        full = width + -width % LANES
        if full - width <= WASTE * full:
            continue
        below = nx.descendants(graph.nx, node.name)
        if any(isinstance(graph[name].op, Linear) for name in below):
            share = 100 * (full - width) / full
            fitting = [str(full), *([str(full - LANES)] if full > LANES else [])]
            yield Remark(
                node,
                f"{width} channels take the lanes of {full}: {share:.0f}% is computed for nothing",
                f"make it a multiple of {LANES}: {' or '.join(fitting)}",
            )
