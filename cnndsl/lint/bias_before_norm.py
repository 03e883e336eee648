"""W0305: a bias that the batch norm behind it takes away.

Source: Ioffe and Szegedy (2015), Batch normalization, section 3.2: the bias b can be ignored since
its effect will be cancelled by the subsequent mean subtraction.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnndsl.ir.graph import Graph
from cnndsl.ir.operators.bases import Linear
from cnndsl.ir.operators.normalisation import BatchNorm
from cnndsl.lint.lint import Remark

CODE = "W0305"


def biases_before_norms(graph: Graph) -> Iterator[Remark]:
    """Layers with a bias that a batch norm alone reads."""
    for node in graph.nodes():
        if not isinstance(node.op, Linear) or "bias" not in node.params:
            continue
        readers = [reader for reader, _ in graph.consumers(node)]
        is_norm = len(readers) == 1 and isinstance(readers[0].op, BatchNorm)
        if is_norm and not graph.output_names(node):
            yield Remark(
                node,
                f"the bias of this {node.op.name} is taken away by the bn behind it",
                "bias=false leaves it out",
            )
