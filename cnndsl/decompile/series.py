"""Graphs to chains: series-parallel reduction.

Branches that start from one value and meet in a join become one item of the chain through that
value (Valdes, Tarjan, Lawler: The recognition of series parallel digraphs, 1982). What does not
reduce so is kept by name with `let`, in the network itself. Takes linear time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice

from cnndsl.decompile.calls import written
from cnndsl.decompile.program import (
    Call,
    Item,
    Join,
    Layer,
    Let,
    Output,
    Program,
    Ref,
    Symbol,
    everything,
)
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators.structure import Input

DEEPEST = 3
"""Joins inside joins; what is nested deeper is written with kept values."""

MOST = 2
"""A branch with more than one in so many of a network's operators is no branch: it comes first."""

IMPLICIT = "output"
"""The name of the output of a network that declares none."""


def chained(graph: Graph, *, flat: bool = False) -> Program:
    """The network as a chain. If `flat`, every value that is read twice is kept by name.

    Raises ValueError if an operator cannot be written.
    """
    read = Counter(source for source, _ in graph.nx.edges())
    reduction = _Reduction(graph, {name for name in read if flat and read[name] > 1})
    program = reduction.program()
    if reduction.too_deep:
        program = _Reduction(graph, reduction.kept | reduction.too_deep).program()
    return program


@dataclass(eq=False)
class _Way:
    """The chain that makes a value of another, its base.

    `nest` are the bases of joins inside one another, where they are nested the deepest.
    """

    base: str | None
    chain: list[Item]
    nest: tuple[str | None, ...] = ()

    def behind(self, other: _Way) -> _Way:
        """This way with another one before it, which is used up."""
        other.chain += self.chain
        return _Way(other.base, other.chain, max(self.nest, other.nest, key=len))


class _Reduction:
    """The way to each value that was met, until something else goes on with it.

    The value of a root has a place of its own in the network: inputs, outputs, kept values. Other
    bases wait until all branches that start from them have been joined: `uses` counts them.
    """

    def __init__(self, graph: Graph, kept: set[str]):
        self.graph = graph
        self.kept = kept
        self.too_deep: set[str] = set()
        self.order = {node.name: index for index, node in enumerate(graph.nodes())}
        ends = [*graph.outputs.values(), *(aux.node for aux in graph.auxiliaries.values())]
        self.uses = Counter(ends)
        self.uses.update(source for source, _ in graph.nx.edges())
        sinks = [name for name in self.order if not self.uses[name]]
        self.roots = {*graph.inputs, *ends, *sinks, *kept}
        self.symbols: dict[str, Symbol] = {}
        self.outputs_last = False
        self.ways: dict[str, _Way] = {}
        self.layers = shared_layers(graph)

    def program(self) -> Program:
        """The whole network."""
        for name in self.order:
            self.ways[name] = self._way(self.graph[name])
        for name in reversed(self.order):
            if name in self.roots:
                self.ways[name] = way = self._resolved(name)
                if way.base is not None:
                    self.roots.add(way.base)
        inputs = [(self._symbol(name), self.graph[name].type.shape) for name in self.graph.inputs]
        layers = {symbol: self._call(self.graph[name]) for name, symbol in self.layers.items()}
        photos = {
            self.graph.inputs.index(name): photo.given(self.graph[name].type)
            for name, photo in self.graph.photos.items()
        }
        body = self._body()
        return Program(self.graph.name, inputs, list(layers.items()), body, photos=photos)

    # Reduction

    def _way(self, node: Node) -> _Way:
        operands = [self._operand(producer.name) for producer in self.graph.producers(node)]
        if len(operands) > 1:
            return self._joined(node, operands)
        if operands:
            operands[0].chain.append(self._step(node))
            return operands[0]
        return _Way(None, [] if isinstance(node.op, Input) else [self._step(node)])

    def _operand(self, name: str) -> _Way:
        """What reads a value goes on with its way, unless others read it too."""
        if name in self.roots or self.uses[name] > 1:
            return _Way(name, [])
        return self._resolved(name)

    def _resolved(self, name: str) -> _Way:
        """The way to a value, with that to its base before it if nothing else starts there."""
        way = self.ways[name]
        while way.base is not None and way.base not in self.roots and self.uses[way.base] == 1:
            way = way.behind(self.ways[way.base])
        return way

    def _joined(self, node: Node, operands: list[_Way]) -> _Way:
        """The base of a join is the earliest value that its branches start from.

        Others are kept. A branch that is the only one to start there comes before the join, and
        so does the longest one where the base is kept.
        """
        bases = sorted({way.base for way in operands if way.base}, key=self.order.__getitem__)
        waiting = [base for base in bases if base not in self.roots]
        self.roots.update(waiting[1:])
        base = next(iter(waiting), bases[-1] if bases else None)
        own = [way for way in operands if way.base == base]
        deepest = max(own, key=lambda way: (len(way.nest), len(way.chain)))
        again = base in deepest.nest and any(not way.chain for way in own)
        if base is not None and base not in self.kept and self._is_most(own):
            self.too_deep.add(base)
        if again or len(deepest.nest) >= DEEPEST:
            self.too_deep.update(name for name in (base, *deepest.nest[1:]) if name is not None)
        before = None
        if base is not None and (len(own) == 1 or (base in self.kept and deepest.chain)):
            before, own = deepest, [deepest]
        elif base is not None:
            self.uses[base] -= len(own) - 1
        branches = []
        for way in operands:
            kept = way.base is not None and way not in own
            start = [self._ref(str(way.base))] if kept else []
            branches.append([] if way is before else start + way.chain)
        nests = [way.nest for way in operands if way is not before]
        at = self.graph.producers(node)[operands.index(before)].name if before else base
        join = Join(type(node.op), branches, self.graph[at].type.channels if at else 0)
        result = _Way(base, [join], (*max(nests, key=len), base))
        return result.behind(before) if before is not None else result

    def _is_most(self, ways: list[_Way]) -> bool:
        """Whether one of several ways that all compute something is most of the network."""
        if len(ways) < 2 or not all(way.chain for way in ways):
            return False
        limit = len(self.graph) // MOST
        return any(sum(1 for _ in islice(everything(way.chain), limit)) == limit for way in ways)

    def _step(self, node: Node) -> Item:
        if node.name in self.layers:
            return Layer(self.layers[node.name])
        return self._call(node)

    def _call(self, node: Node) -> Call:
        types = self.graph.input_types(node)
        operator, arguments = written(node.op, tuple(types))
        return Call(operator, list(arguments), types[0].channels if types else 0, node.name)

    def _symbol(self, name: str) -> Symbol:
        hint = name if name in self.graph.inputs else "x"
        return self.symbols.setdefault(name, Symbol(hint))

    # Statements

    def _body(self) -> list[Item]:
        """The roots in their order, each as it follows from the value at hand where it can."""
        graph = self.graph
        inputs, ends = graph.inputs, [name for name in self.order if not graph.nx.out_degree(name)]
        only = next(iter(graph.outputs.values())) if len(graph.outputs) == 1 else None
        last = only if IMPLICIT in graph.outputs else None
        roots = [name for name in self.order if name in self.roots and name not in inputs]
        roots.sort(key=lambda name: name == only and only in ends)
        ranks = {name: rank for rank, name in enumerate((*inputs, *roots))}
        made = [ranks[node] for node in graph.outputs.values()]
        self.outputs_last = made != sorted(made)
        waiting = Counter(self.ways[name].base for name in roots)
        at = inputs[-1]
        body: list[Item] = [
            output for name in inputs for output in self._outputs(name, [self._ref(name)])
        ]
        places: list[tuple[int, str]] = []
        for name in roots:
            base, chain = self.ways[name].base, self.ways[name].chain
            waiting[base] -= 1
            if base is not None and base != at:
                chain = [self._ref(base), *chain]
            if name == only and not waiting[at] and name in ends and name != last:
                body += [*chain[:-1], *self._outputs(name, chain[-1:])]
                continue
            if waiting[at] or (name in ends and name != last):
                body += self._aside(name, chain, name not in ends)
                continue
            at = name
            body += chain
            places.append((len(body), name))
            body += self._outputs(name, [])
        if last not in (None, at):
            body.append(self._ref(last))
        if self.outputs_last:
            body += [Output(output, [self._ref(node)]) for output, node in graph.outputs.items()]
        for place, name in reversed(places):
            if name in self.symbols:
                body.insert(place, Let(self.symbols[name], []))
        return body

    def _aside(self, name: str, chain: list[Item], is_read: bool) -> list[Item]:
        """A root beside the value at hand: an output alone, or a kept value with its outputs."""
        outputs = self._outputs(name, chain)
        if len(outputs) == 1 and not is_read:
            return [*outputs]
        if not outputs and not is_read and name not in self.graph.outputs.values():
            self.symbols[name] = Symbol("_unused")
        return [Let(self._symbol(name), chain), *self._outputs(name, [self._ref(name)])]

    def _ref(self, name: str) -> Item:
        return Ref(self._symbol(name))

    def _outputs(self, name: str, chain: list[Item]) -> list[Output]:
        graph = self.graph
        found = [output for output, node in graph.outputs.items() if node == name]
        if found and self.outputs_last:
            self._symbol(name)
        here = [] if self.outputs_last or graph.outputs.keys() == {IMPLICIT} else found
        return [
            *(Output(output, chain) for output in here),
            *(
                Output(output, chain, aux.weight)
                for output, aux in graph.auxiliaries.items()
                if aux.node == name
            ),
        ]


def shared_layers(graph: Graph) -> dict[str, Symbol]:
    """The nodes that apply one layer: the same operator with the same parameters."""
    groups: dict[object, list[str]] = {}
    for node in graph.nodes():
        if any(isinstance(expression, Parameter) for expression in node.params.values()):
            key = (written(node.op, tuple(graph.input_types(node))), *sorted(node.params.items()))
            groups.setdefault(key, []).append(node.name)
    shared = [names for names in groups.values() if len(names) > 1]
    return {name: symbol for names in shared for symbol in [Symbol("shared")] for name in names}
