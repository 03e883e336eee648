"""The graph of a network: typed nodes over a networkx MultiDiGraph.

Every node makes one tensor. Node names are the instance paths of the language
(`stage1.0.conv2`) and the keys of the networkx graph. The operand index is the edge's key, so
`add(x, x)` is two edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx

from cnndsl.diagnostics import Span
from cnndsl.ir.expressions import Expression, Parameter, parameters_of
from cnndsl.ir.operator import Operator
from cnndsl.ir.types import TensorType


@dataclass(frozen=True, eq=False)
class Node:
    """One operation and the tensor it makes. Changed by replacing it in its graph.

    `params` maps the operator's roles ("weight", "bias") to expressions; `spans` are the places
    in the source that the node stands for, several once nodes have been fused.
    """

    name: str
    op: Operator
    type: TensorType
    params: Mapping[str, Expression] = field(default_factory=dict)
    spans: frozenset[Span] = frozenset()


@dataclass(frozen=True)
class Auxiliary:
    """A training-only output: the node that makes it, and its weight in the loss."""

    node: str
    weight: float


class Graph:
    """A directed acyclic graph of nodes with named inputs and outputs.

    `inputs` holds node names; `outputs` and `auxiliaries` map an output's name to a node name;
    `stages` are the labelled parts of the network with the node that ends each; `scopes` maps a
    path to the block or loop that it is an instance of.
    """

    def __init__(self, name: str):
        self.name = name
        self.nx: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        self.inputs: list[str] = []
        self.outputs: dict[str, str] = {}
        self.auxiliaries: dict[str, Auxiliary] = {}
        self.stages: list[tuple[str, str]] = []
        self.scopes: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.nx)

    def __contains__(self, name: str) -> bool:
        return name in self.nx

    def __getitem__(self, name: str) -> Node:
        node: Node = self.nx.nodes[name]["node"]
        return node

    def nodes(self) -> Iterator[Node]:
        """All nodes, every node after its producers, else in the order in which they were added."""
        order = {name: index for index, name in enumerate(self.nx)}
        for name in list(nx.lexicographical_topological_sort(self.nx, key=order.__getitem__)):
            yield self[name]

    def producers(self, node: Node) -> list[Node]:
        """The nodes whose tensors `node` reads, in operand order, repeated if read twice."""
        edges = sorted(self.nx.in_edges(node.name, keys=True), key=lambda edge: edge[2])
        return [self[source] for source, _, _ in edges]

    def consumers(self, node: Node) -> list[tuple[Node, int]]:
        """The nodes that read the tensor of `node`, with the operand index."""
        return [(self[target], key) for _, target, key in self.nx.out_edges(node.name, keys=True)]

    def input_types(self, node: Node) -> list[TensorType]:
        """The types of the node's operands."""
        return [producer.type for producer in self.producers(node)]

    def output_names(self, node: Node) -> list[str]:
        """Names of the outputs (auxiliary ones too) that the node makes."""
        names = [name for name, target in self.outputs.items() if target == node.name]
        return names + [n for n, aux in self.auxiliaries.items() if aux.node == node.name]

    def parameters(self) -> dict[str, Parameter]:
        """All parameters that any node reads, by name, each once."""
        found: dict[str, Parameter] = {}
        for node in self.nodes():
            for expression in node.params.values():
                for parameter in parameters_of(expression):
                    found.setdefault(parameter.name, parameter)
        return found

    def add(
        self,
        name: str,
        op: Operator,
        operands: Sequence[Node],
        params: Mapping[str, Expression] | None = None,
        spans: frozenset[Span] = frozenset(),
    ) -> Node:
        """Add a node behind its operands. `op` is bound and typed here.

        Raises OperatorError if the operator cannot take the operands, ValueError if the name is
        taken.
        """
        if name in self.nx:
            raise ValueError(f"node {name!r} exists already")
        types = [operand.type for operand in operands]
        bound = op.bind(types)
        node = Node(name, bound, bound.infer(types), dict(params or {}), spans)
        self.nx.add_node(name, node=node)
        for index, operand in enumerate(operands):
            self.nx.add_edge(operand.name, name, key=index)
        return node

    def update(self, node: Node, **changes: Any) -> Node:
        """Replace fields of a node other than its name; returns the new node."""
        changed = replace(node, **changes)
        self.nx.nodes[node.name]["node"] = changed
        return changed

    def redefine(
        self,
        node: Node,
        op: Operator,
        operands: Sequence[Node],
        params: Mapping[str, Expression],
        spans: frozenset[Span],
    ) -> Node:
        """Let a node compute something else under its name, for the same consumers.

        `op` is bound and typed here. Raises OperatorError if it cannot take the operands,
        ValueError if the type of the result changes. The operands must not depend on the node.
        """
        types = [operand.type for operand in operands]
        bound = op.bind(types)
        if bound.infer(types) != node.type:
            raise ValueError(f"{node.name!r} would be {bound.infer(types)}, not {node.type}")
        for source, _, key in list(self.nx.in_edges(node.name, keys=True)):
            self.nx.remove_edge(source, node.name, key=key)
        for index, operand in enumerate(operands):
            self.nx.add_edge(operand.name, node.name, key=index)
        return self.update(node, op=bound, params=dict(params), spans=spans)

    def replace(self, old: Node, new: Node) -> None:
        """Let all consumers of `old`, and outputs and stages made by it, use `new` instead.

        `old` stays, without consumers, except that `new` keeps reading it if it does.
        """
        for consumer, index in self.consumers(old):
            if consumer.name != new.name:
                self.nx.remove_edge(old.name, consumer.name, key=index)
                self.nx.add_edge(new.name, consumer.name, key=index)
        swap = {old.name: new.name}
        self.outputs = {name: swap.get(node, node) for name, node in self.outputs.items()}
        self.auxiliaries = {
            name: replace(aux, node=swap.get(aux.node, aux.node))
            for name, aux in self.auxiliaries.items()
        }
        self.stages = [(name, swap.get(node, node)) for name, node in self.stages]

    def insert_after(self, node: Node, name: str, op: Operator, **fields: Any) -> Node:
        """Put a one-operand node between `node` and all its present consumers."""
        new = self.add(name, op, [node], **fields)
        self.replace(node, new)
        return new

    def remove(self, node: Node) -> None:
        """Delete a node that nothing uses. Raises ValueError if something does."""
        if self.consumers(node) or self.output_names(node):
            raise ValueError(f"node {node.name!r} is still used")
        self.nx.remove_node(node.name)
        self.inputs = [name for name in self.inputs if name != node.name]
        self.stages = [stage for stage in self.stages if stage[1] != node.name]

    def bypass(self, node: Node, other: Node) -> None:
        """Use `other` wherever `node` was used, and delete `node`."""
        self.replace(node, other)
        self.remove(node)

    def copy(self) -> Graph:
        """An independent graph with the same nodes."""
        twin = Graph(self.name)
        twin.nx = self.nx.copy()
        twin.inputs = list(self.inputs)
        twin.outputs = dict(self.outputs)
        twin.auxiliaries = dict(self.auxiliaries)
        twin.stages = list(self.stages)
        twin.scopes = dict(self.scopes)
        return twin
