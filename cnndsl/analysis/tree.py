"""The tree of a network's blocks, by the dotted paths of its nodes, with the cost of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from cnndsl.analysis.cost import Cost, node_costs, total
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.types import TensorType


@dataclass
class Block:
    """A block instance and what it holds in order of execution; the root's path is empty.

    Nothing is added after its nodes or its cost were first asked for.
    """

    path: str
    kind: str
    children: list[Block | Leaf] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit(".", 1)[-1]

    def nodes(self) -> Iterator[Node]:
        """All nodes below the block, in order of execution within each block."""
        return iter(self._nodes)

    @cached_property
    def _nodes(self) -> list[Node]:
        return [node for child in self.children for node in child.nodes()]

    @cached_property
    def cost(self) -> Cost:
        """The sum over all nodes below."""
        return total(child.cost for child in self.children)


@dataclass
class Leaf:
    """One node of the graph."""

    node: Node
    cost: Cost

    @property
    def path(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.node.name.rsplit(".", 1)[-1]

    @property
    def kind(self) -> str:
        """The operator's name."""
        return self.node.op.name

    def nodes(self) -> Iterator[Node]:
        """The node itself."""
        yield self.node


def block_tree(graph: Graph) -> Block:
    """The root of the tree: every dotted prefix of a node's name is a block."""
    costs = node_costs(graph)
    root = Block("", graph.name)
    blocks = {"": root}
    for node in graph.nodes():
        parent = _block(blocks, graph, node.name.rpartition(".")[0])
        parent.children.append(Leaf(node, costs[node.name]))
    return root


def _block(blocks: dict[str, Block], graph: Graph, path: str) -> Block:
    """The block of a path; made, with all that hold it, when it is first asked for."""
    missing = []
    while path not in blocks:
        missing.append(path)
        path = path.rpartition(".")[0]
    block = blocks[path]
    for new in reversed(missing):
        blocks[new] = Block(new, graph.scopes.get(new, ""))
        block.children.append(blocks[new])
        block = blocks[new]
    return block


def result_types(graph: Graph, part: Block | Leaf) -> list[TensorType]:
    """Types of the tensors that a part hands on: to nodes outside of it, or as outputs."""
    if isinstance(part, Leaf):
        return [part.node.type]
    inside = {node.name for node in part.nodes()}
    return [
        node.type
        for node in part.nodes()
        if graph.output_names(node)
        or any(reader.name not in inside for reader, _ in graph.consumers(node))
    ]
