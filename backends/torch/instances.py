"""Graphs as trees of modules: the parts of a network become instances of classes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from cnndsl.backends.torch.code import Layer, Operand, Own, joined
from cnndsl.backends.torch.operators import WRITERS
from cnndsl.backends.torch.operators.convolution import conv_padded_before
from cnndsl.backends.torch.plain import module_path
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Conv, Input


@dataclass(eq=False)
class Made:
    """One step of a forward pass: a layer, or an instance of a class, or several in a row.

    `operands` and `results` are names of nodes, whose values they are. What `is_shared` is the
    module of an earlier step; what acts in `training` alone serves no output; the result of what
    is `dead` serves nothing.
    """

    path: str
    operands: list[str]
    results: list[str]
    layer: Layer
    children: tuple[Instance, ...] = ()
    training: bool = False
    dead: bool = False
    is_shared: bool = False

    @property
    def module(self) -> str:
        """The path of its module."""
        return module_path(self.path)

    @property
    def is_plain(self) -> bool:
        """Whether it is a module that takes and makes one value."""
        has_module = self.layer.module is not None or bool(self.children)
        single = len(self.operands) == len(self.results) == 1
        return has_module and single and self.layer.result == CALL


CALL = (Own(), "(", Operand(0), ")")


@dataclass(eq=False)
class Instance:
    """A part of the network with its steps, and the values that it takes and makes."""

    path: str
    kind: str
    inputs: list[str]
    results: list[str]
    steps: list[Made]
    channels: tuple[int, ...]
    arguments: dict[str, Any]
    nodes: list[Node]
    key: Hashable = field(init=False)

    def __post_init__(self) -> None:
        self.key = (self.kind, self.structure())

    def inside(self, step: Made) -> list[str]:
        """The path of a step's module from here, word by word."""
        base = module_path(self.path)
        return step.module[len(base) + 1 if base else 0 :].split(".")

    def attributes(self) -> set[str]:
        """The names of the modules directly inside."""
        return {self.inside(step)[0] for step in self.steps}

    def structure(self, values: bool = False) -> Hashable:
        """What instances of one class have in common; with `values`, what equal ones have."""
        numbers = {name: index for index, name in enumerate(self.inputs)}
        steps = []
        for step in self.steps:
            operands = tuple(numbers[name] for name in step.operands)
            for name in step.results:
                numbers[name] = len(numbers)
            where = step.module.removeprefix(module_path(self.path))
            steps.append((where, operands, len(step.results), _code(step, values), step.training,
                          step.dead, step.is_shared))  # fmt: skip
        return (len(self.inputs), tuple(numbers[name] for name in self.results), tuple(steps))


def _code(step: Made, values: bool) -> Hashable:
    children = tuple(c.structure(True) if values else c.key for c in step.children)
    layer = (step.layer.result, step.layer.module)
    shown = repr(layer) if values else layer
    return (shown, children)


class Instances:
    """Makes the instances of a graph.

    `rows` are the scopes that are one module after another. Other scopes without an instance hold
    modules that the scope around them calls one by one.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.rows: set[str] = set()
        self.all: list[Instance] = []
        self._operands = {n.name: [p.name for p in graph.producers(n)] for n in graph.nodes()}
        wanted = {*graph.outputs.values(), *(aux.node for aux in graph.auxiliaries.values())}
        self._main = self._ancestors(graph.outputs.values())
        self._alive = self._ancestors(wanted)
        self._wanted = wanted
        self._readers: dict[str, list[str]] = {name: [] for name in self._operands}
        for name, operands in self._operands.items():
            for operand in operands:
                self._readers[operand].append(name)
        self._order = {name: index for index, name in enumerate(self._operands)}
        self._layers = self._all_layers()
        self._first: dict[str, Instance] = {}

    def root(self) -> Instance:
        """The whole network; instances inside come before it in `all`."""
        names = [n for n in self._operands if not isinstance(self.graph[n].op, Input)]
        results = [*self.graph.outputs.values()]
        results += [aux.node for aux in self.graph.auxiliaries.values()]
        steps = self._steps("", names)
        return self._instance("", names, list(self.graph.inputs), results, steps)

    def _ancestors(self, names: Iterable[str]) -> set[str]:
        found, pending = set[str](), list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self._operands[name]
        return found

    def _all_layers(self) -> dict[str, Layer]:
        """The layer of each node; uses of one module have one constructor."""
        nodes = [node for node in self.graph.nodes() if not isinstance(node.op, Input)]
        layers = {node.name: WRITERS[type(node.op)](node.core) for node in nodes}
        made: dict[str, set[str]] = {}
        for name, layer in layers.items():
            made.setdefault(module_path(name), set()).add(repr(layer.module))
        for node in nodes:
            if len(made[module_path(node.name)]) > 1 and isinstance(node.op, Conv):
                layers[node.name] = conv_padded_before(node.core)  # type: ignore[arg-type]
        return layers

    def _steps(self, path: str, names: Sequence[str]) -> list[Made]:
        """The steps of a part: its nodes and the parts in it, in an order in which they can run."""
        dissolved: set[str] = set()
        count, first = len(self.all), dict(self._first)
        while True:
            del self.all[count:]
            self._first = dict(first)
            owners = {name: self._owner(path, name, dissolved) for name in names}
            quotient: nx.DiGraph[str] = nx.DiGraph()
            quotient.add_nodes_from(owners.values())
            for name, owner in owners.items():
                for operand in self._operands[name]:
                    if operand in owners and owners[operand] != owner:
                        quotient.add_edge(owners[operand], owner)
            circles = [c for c in nx.strongly_connected_components(quotient) if len(c) > 1]
            members: dict[str, list[str]] = {}
            for name, owner in owners.items():
                members.setdefault(owner, []).append(name)
            broken = {owner for circle in circles for owner in circle if owner not in self.graph}
            if not broken:
                steps = {}
                for owner, inside in members.items():
                    made = self._step(owner, inside)
                    if made is None:
                        broken.add(owner)
                    else:
                        steps[owner] = made
            if not broken:
                break
            dissolved |= broken
        order = {owner: min(self._order[n] for n in inside) for owner, inside in members.items()}
        sorted_owners = nx.lexicographical_topological_sort(quotient, key=order.__getitem__)
        return [steps[owner] for owner in sorted_owners]

    def _owner(self, path: str, name: str, dissolved: set[str]) -> str:
        """The part directly in a path that a node belongs to, or the node itself."""
        prefix, rest = path, name[len(path) + 1 if path else 0 :].split(".")
        for word in rest[:-1]:
            prefix = f"{prefix}.{word}" if prefix else word
            if prefix not in dissolved and prefix not in self.graph:
                return prefix
        return name

    def _step(self, owner: str, names: list[str]) -> Made | None:
        """The step of a node or a part; None for a part that cannot be called as a whole."""
        training = not any(name in self._main for name in names)
        if owner in self.graph:
            layer = self._layers[owner]
            dead = owner not in self._alive
            shared = layer.module is not None and owner != module_path(owner)
            shared = shared and module_path(owner) in self.graph
            operands = self._operands[owner]
            return Made(owner, operands, [owner], layer, (), training, dead, shared)
        inside = set(names)
        inputs = list(dict.fromkeys(o for n in names for o in self._operands[n] if o not in inside))
        results = [n for n in names if n in self._wanted or set(self._readers[n]) - inside]
        dead = not any(name in self._alive for name in names)
        if _counts(owner, names):
            return self._row(owner, names, inputs, results, training, dead)
        count = len(self.all)
        steps = self._steps(owner, names)
        instance = self._instance(owner, names, inputs, results, steps)
        first = self._first.setdefault(module_path(owner), instance)
        if first is not instance:
            del self.all[count:]
            if first.structure(True) != instance.structure(True):
                return None
        call = (Own(), "(", *joined([Operand(i) for i in range(len(inputs))], ", "), ")")
        layer = Layer(call, None, starts=True)
        return Made(owner, inputs, results, layer, (first,), training, dead, first is not instance)

    def _row(
        self,
        owner: str,
        names: list[str],
        inputs: list[str],
        results: list[str],
        training: bool,
        dead: bool,
    ) -> Made | None:
        """Rounds of a loop as one module after another, if they are a chain of modules."""
        count, first = len(self.all), dict(self._first)
        steps = self._steps(owner, names)
        chained = len(inputs) == len(results) == 1
        value = inputs[0] if inputs else ""
        for index, step in enumerate(steps):
            number = step.path.rpartition(".")[2]
            fits = step.is_plain and not step.is_shared and number == str(index)
            if not (chained and fits and step.operands == [value]):
                del self.all[count:]
                self._first = first
                return None
            value = step.results[0]
        if value != results[0]:
            del self.all[count:]
            self._first = first
            return None
        self.rows.add(module_path(owner))
        rounds = tuple(self._wrapped(step) for step in steps)
        return Made(owner, inputs, results, Layer(CALL, ROW, starts=True), rounds, training, dead)

    def _wrapped(self, step: Made) -> Instance:
        """A round: the instance that it is, or a stand-in for its layer."""
        if step.children and step.layer.module is None:
            return step.children[0]
        return Instance(step.path, LAYER, step.operands, step.results, [step], (), {}, [])

    def _instance(
        self,
        path: str,
        names: Sequence[str],
        inputs: list[str],
        results: list[str],
        steps: list[Made],
    ) -> Instance:
        kind = self.graph.scopes.get(path, "")
        channels = tuple(self.graph[name].type.channels for name in inputs)
        direct = [self.graph[step.path] for step in steps if step.path in self.graph]
        given = self.graph.arguments.get(path, {})
        instance = Instance(path, kind, inputs, results, steps, channels, given, direct)
        self.all.append(instance)
        return instance


ROW = ("nn.Sequential",)
"""Stands for the constructor of a row, which is made of those of its rounds."""
LAYER = "a layer"


def _counts(scope: str, names: Sequence[str]) -> bool:
    """Whether all that a scope holds is numbered, as the rounds of a loop are."""
    return all(name[len(scope) + 1 :].partition(".")[0].isdigit() for name in names)
