"""What a training step keeps from the forward pass for the backward pass.

The gradient of an operator reads its operands, its result, both or neither. What any gradient
reads has to be kept, or made again. Results of concat and bn (with the activation after it) are
cheap to make again from what convolutions made; all of them can then use two shared areas, one
for concatenations and one for normalised features.

Source: Pleiss et al. (2017), Memory-efficient implementation of DenseNets, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Reads
from cnndsl.ir.operators import Activation, BatchNorm, Concat, Flatten, Identity, Slice
from cnndsl.memory.model import dense_bytes


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes kept for the backward pass.

    `kept` if nothing is made again; otherwise `features`, and the two shared areas.
    """

    kept: int
    features: int
    concat_area: int
    normalised_area: int

    @property
    def shared(self) -> int:
        """Both shared areas."""
        return self.concat_area + self.normalised_area

    @property
    def with_recomputing(self) -> int:
        """All that is kept if concat and bn are made again."""
        return self.features + self.shared


def training_memory(
    graph: Graph, batch: int = 1, sample_bytes: Callable[[Node], int] = dense_bytes
) -> TrainingMemory:
    """What to keep for one step with a graph as it is trained, auxiliary outputs included.

    Raises ValueError if a size is open.
    """
    size = {node.name: batch * sample_bytes(node) for node in graph.nodes()}
    needed = {_source(graph, read).name for node in graph.nodes() for read in _reads(graph, node)}
    cheap = _cheap(graph)
    features = needed - cheap.keys()
    again = needed & cheap.keys()
    for node in reversed(list(graph.nodes())):
        if node.name in again:
            operands = {_source(graph, operand).name for operand in graph.producers(node)}
            again |= operands & cheap.keys()
            features |= operands - cheap.keys()
    return TrainingMemory(
        kept=sum(size[name] for name in needed),
        features=sum(size[name] for name in features),
        concat_area=max((size[n] for n in again if cheap[n] is Concat), default=0),
        normalised_area=max((size[n] for n in again if cheap[n] is BatchNorm), default=0),
    )


def _reads(graph: Graph, node: Node) -> Iterator[Node]:
    """The results that the gradient of a node reads."""
    if Reads.OPERANDS in node.op.gradient:
        yield from graph.producers(node)
    if Reads.RESULT in node.op.gradient:
        yield node


def _source(graph: Graph, node: Node) -> Node:
    """The node whose result a view shows."""
    while isinstance(node.op, Flatten | Identity | Slice):
        (node,) = graph.producers(node)
    return node


def _cheap(graph: Graph) -> dict[str, type[Concat] | type[BatchNorm]]:
    """What is made again, and for which area: concat, bn, activations after a bn."""
    cheap: dict[str, type[Concat] | type[BatchNorm]] = {}
    for node in graph.nodes():
        if isinstance(node.op, Concat):
            cheap[node.name] = Concat
        elif isinstance(node.op, BatchNorm):
            cheap[node.name] = BatchNorm
        elif isinstance(node.op, Activation):
            (operand,) = graph.producers(node)
            if cheap.get(_source(graph, operand).name) is BatchNorm:
                cheap[node.name] = BatchNorm
    return cheap
