"""The graph of a network: typed nodes over a networkx MultiDiGraph.

Every node makes one tensor, by one operator or by several in one go. Node names are the instance
paths of the language (`stage1.0.conv2`) and the keys of the networkx graph. The operand index is
the edge's key, so `add(x, x)` is two edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from cnndsl.diagnostics import Span
from cnndsl.ir.expressions import Expression, Parameter, parameters_of
from cnndsl.ir.operator import Operator
from cnndsl.ir.part import Chain, Part, Step, chained
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType

if TYPE_CHECKING:
    import networkx as nx

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Node(Chain[Operator]):
    """What makes one tensor: one operator, and those that passes have fused with it.

    Nodes are changed by replacing them in their graph. `spans` are the places in the source that
    a node stands for, several once nodes have been fused.
    """

    name: str
    core: Part[Operator]
    prologue: tuple[Part[Operator], ...] = ()
    epilogue: tuple[Part[Operator], ...] = ()
    spans: frozenset[Span] = frozenset()

    @classmethod
    def of(
        cls,
        name: str,
        steps: Sequence[Step],
        operands: Sequence[TensorType],
        core: int = 0,
        spans: frozenset[Span] = frozenset(),
    ) -> Node:
        """A node of bound parts; `core` is the index of its core.

        Raises OperatorError and ValueError as `cnndsl.ir.part.chained` does.
        """
        parts = chained(steps, operands)
        return cls(name, parts[core], parts[:core], parts[core + 1 :], spans)

    @property
    def params(self) -> Mapping[str, Expression]:
        """The parameters of the core."""
        return self.core.params

    def expressions(self) -> Iterator[Expression]:
        """The parameters of all parts."""
        for part in self.parts:
            yield from part.params.values()

    @property
    def is_fused(self) -> bool:
        """Whether the node has other parts than its core."""
        return bool(self.prologue or self.epilogue)

    @property
    def type(self) -> TensorType:
        """What the last part makes."""
        return self.parts[-1].output

    @property
    def operands(self) -> int:
        """How many values the node reads."""
        first, *others = self.parts
        return len(first.inputs) + sum(len(part.inputs) - 1 for part in others)

    @property
    def macs(self) -> int:
        """Multiply-adds for one sample. Raises ValueError if that depends on an open size."""
        return sum(part.op.macs(part.inputs, part.output) for part in self.parts)

    def bound(self, operands: Sequence[TensorType]) -> Node:
        """The node for operands of other types. Raises OperatorError if a part does not fit."""
        steps = [part.step for part in self.parts]
        return Node.of(self.name, steps, operands, len(self.prologue), self.spans)

    def fold(
        self, operands: Sequence[Value], compute: Callable[[Part[Operator], list[Value]], Value]
    ) -> Value:
        """What `compute` makes of the last part, if it is given each part and what that reads.

        That is what it has made of the part before, and the node's operands in their order.
        """
        waiting = iter(operands)
        first, *others = self.parts
        value = compute(first, [next(waiting) for _ in first.inputs])
        for part in others:
            value = compute(part, [value, *(next(waiting) for _ in part.inputs[1:])])
        return value

    def __repr__(self) -> str:
        names = "+".join(part.op.name for part in self.parts)
        return f"Node({self.name!r}, {names}, {self.type})"


@dataclass(frozen=True)
class Auxiliary:
    """A training-only output: the node that makes it, and its weight in the loss."""

    node: str
    weight: float


class Graph:
    """A directed acyclic graph of nodes with named inputs and outputs.

    `inputs` holds node names; `photos` tells of inputs how a photo becomes them; `outputs` and
    `auxiliaries` map an output's name to a node name; `stages` are the labelled parts of the
    network with the node that ends each; `scopes` maps a path to the block or loop that it is an
    instance of, `arguments` that of a block to the values of its parameters, as far as these are
    numbers, texts and truths.
    """

    def __init__(self, name: str):
        import networkx as nx

        self.name = name
        self.nx: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        self.inputs: list[str] = []
        self.photos: dict[str, Photo] = {}
        self.outputs: dict[str, str] = {}
        self.auxiliaries: dict[str, Auxiliary] = {}
        self.stages: list[tuple[str, str]] = []
        self.scopes: dict[str, str] = {}
        self.arguments: dict[str, dict[str, float | str]] = {}

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, {len(self)} nodes)"

    def __len__(self) -> int:
        return len(self.nx)

    def __contains__(self, name: str) -> bool:
        return name in self.nx

    def __getitem__(self, name: str) -> Node:
        node: Node = self.nx.nodes[name]["node"]
        return node

    def nodes(self) -> Iterator[Node]:
        """All nodes in the order in which they were added, but producers before what reads them.

        So what is added later comes just before its first reader, and nothing else moves.
        """
        added = {name: index for index, name in enumerate(self.nx)}
        names: Iterable[str] = added
        if any(added[a] > added[b] for a, after in self.nx.adjacency() for b in after):
            names = self._producers_first(added)
        for name in list(names):
            yield self[name]

    def _producers_first(self, added: Mapping[str, int]) -> Iterable[str]:
        order: dict[str, None] = {}
        for name in added:
            waiting = [name]
            while waiting:
                before = [x for x in self.nx.pred[waiting[-1]] if x not in order]
                if before:
                    waiting += sorted(before, key=added.__getitem__, reverse=True)
                else:
                    order[waiting.pop()] = None
        return order

    def reorder(self, names: Iterable[str]) -> None:
        """Let this be the order of all nodes, as far as producers come first."""
        import networkx as nx

        ordered: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        ordered.add_nodes_from((name, self.nx.nodes[name]) for name in names)
        ordered.add_edges_from(self.nx.edges(keys=True))
        self.nx = ordered

    def producers(self, node: Node) -> list[Node]:
        """The nodes whose tensors `node` reads, in operand order, repeated if read twice."""
        before = self.nx.pred[node.name]
        edges = sorted((index, name) for name, keys in before.items() for index in keys)
        return [self[name] for _, name in edges]

    def consumers(self, node: Node) -> list[tuple[Node, int]]:
        """The nodes that read the tensor of `node`, with the operand index."""
        after: Mapping[str, Any] = self.nx.succ[node.name]
        return [(self[target], key) for target, keys in after.items() for key in keys]

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
            for expression in node.expressions():
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
        return self._put(Node.of(name, [(op, params or {})], types, spans=spans), operands)

    def update(self, node: Node, *, spans: frozenset[Span] | None = None, **core: Any) -> Node:
        """Replace the spans of a node, or fields of its core; returns the new node."""
        part = replace(node.core, **core)
        changed = replace(node, core=part, spans=node.spans if spans is None else spans)
        self.nx.nodes[node.name]["node"] = changed
        return changed

    def put(self, node: Node, operands: Sequence[Node]) -> Node:
        """Add a node, or let it take the place of that of its name, for the same consumers.

        Its parts are bound to the operands, and typed, here; the operands must not depend on it.
        Raises OperatorError if a part cannot take them.
        """
        bound = node.bound([operand.type for operand in operands])
        if node.name in self.nx:
            self.nx.remove_edges_from(list(self.nx.in_edges([node.name], keys=True)))
        return self._put(bound, operands)

    def _put(self, node: Node, operands: Sequence[Node]) -> Node:
        """Add a node that is bound to its operands and reads nothing yet."""
        self.nx.add_node(node.name, node=node)
        for index, operand in enumerate(operands):
            self.nx.add_edge(operand.name, node.name, key=index)
        return node

    def redefine(
        self,
        node: Node,
        op: Operator,
        operands: Sequence[Node],
        params: Mapping[str, Expression],
        spans: frozenset[Span],
    ) -> Node:
        """Let a node be one operator that makes what it made, under its name.

        See `put`. Raises ValueError if the type of the result changes.
        """
        types = [operand.type for operand in operands]
        changed = Node.of(node.name, [(op, params)], types, spans=spans)
        if changed.type != node.type:
            raise ValueError(f"{node.name!r} would be {changed.type}, not {node.type}")
        return self.put(changed, operands)

    def replace(self, old: Node, new: Node) -> None:
        """Let all consumers of `old`, and outputs and stages made by it, use `new` instead.

        `old` stays, without consumers, except that `new` keeps reading it if it does. If their
        types differ, `bind_readers` has to follow.
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
        for index, (name, node) in enumerate(self.stages):
            if node == old.name:
                self.stages[index] = (name, new.name)

    def bind_readers(self, node: Node) -> None:
        """Bind all consumers of a node anew: its type has changed, not what they make of it.

        Raises OperatorError if one cannot take it.
        """
        for consumer, _ in self.consumers(node):
            self.put(consumer, self.producers(consumer))

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
        self.photos.pop(node.name, None)
        if any(last == node.name for _, last in self.stages):
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
        twin.photos = dict(self.photos)
        twin.outputs = dict(self.outputs)
        twin.auxiliaries = dict(self.auxiliaries)
        twin.stages = list(self.stages)
        twin.scopes = dict(self.scopes)
        twin.arguments = dict(self.arguments)
        return twin
