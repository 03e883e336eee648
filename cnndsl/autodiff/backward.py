"""The walk back: from the outputs of a graph to the gradients of its parameters and inputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from cnndsl.autodiff.builder import Builder
from cnndsl.autodiff.rules import rule_of
from cnndsl.autodiff.step import Step
from cnndsl.diagnostics import CnnError, Diagnostic
from cnndsl.ir.expressions import Expression, Parameter, parameters_of
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Again, Input

Along: TypeAlias = Callable[[Graph, Node, int, Node], Node]
"""What goes back along an edge: of a node, the number of the operand, and the gradient by that."""


def gradients_by(
    graph: Graph,
    seeds: Mapping[str, Node],
    parameters: Collection[str],
    inputs: Collection[str],
    again: Collection[str] = (),
    along: Along | None = None,
) -> dict[str, Node]:
    """Add nodes for the gradients by parameters and inputs, by their names, and return these.

    `seeds` are the gradients of the loss by the results of nodes, by the nodes' names, whose types
    they have. What the results do not depend on is left out. The results of the nodes in `again`
    are computed a second time where the way back reads them. `along` may change what goes back
    along an edge. Raises CnnError (E0630) where an
    operator on the way has no gradient.
    """
    walk = _Walk(graph, parameters, inputs, again, along)
    for name, seed in seeds.items():
        walk.terms[name].append(seed)
    for node in reversed([node for node in graph.nodes() if node.name in walk.active]):
        walk.back(node)
    return {name: walk.total(name, parts) for name, parts in walk.found.items()}


class _Walk:
    """What has been found so far.

    `active` are the nodes that depend on what the gradients are by, `terms` those of the gradient
    by each node's result, `found` those of the gradients by parameters and inputs.
    """

    def __init__(
        self,
        graph: Graph,
        parameters: Collection[str],
        inputs: Collection[str],
        again: Collection[str],
        along: Along | None = None,
    ):
        self.graph = graph
        self.along = along
        self.again = set(again)
        self.copies: dict[str, Node] = {}
        self.parameters = set(parameters)
        self.active = set(inputs)
        for node in graph.nodes():
            own = any(map(self._is_wanted, node.expressions()))
            if own or any(x.name in self.active for x in graph.producers(node)):
                self.active.add(node.name)
        self.terms: dict[str, list[Node]] = defaultdict(list)
        self.found: dict[str, list[Node]] = defaultdict(list)

    def _is_wanted(self, expression: Expression) -> bool:
        return any(parameter.name in self.parameters for parameter in parameters_of(expression))

    def total(self, prefix: str, terms: list[Node]) -> Node:
        return Builder(self.graph, f"{prefix}.gradient").total(terms)

    def _read(self, node: Node) -> Node:
        """A result of the way forth, computed again if it is not kept."""
        if node.name not in self.again:
            return node
        if node.name not in self.copies:
            operands = [self._read_again(x) for x in self.graph.producers(node)]
            build = Builder(self.graph, f"{node.name}.again")
            self.copies[node.name] = build.add(node.op, *operands, params=node.params)
        return self.copies[node.name]

    def _read_again(self, node: Node) -> Node:
        """An operand of what is computed again."""
        if node.name in self.again:
            return self._read(node)
        if node.name not in self.copies:
            self.copies[node.name] = Builder(self.graph, f"{node.name}.again").add(Again(), node)
        return self.copies[node.name]

    def back(self, node: Node) -> None:
        """From the gradient by a node's result to those by its operands and parameters."""
        terms = self.terms.pop(node.name, [])
        if not terms:
            return
        gradient = self.total(node.name, terms)
        if isinstance(node.op, Input):
            self.found[node.name].append(gradient)
            return
        rule = None if node.is_fused else rule_of(type(node.op))
        if rule is None:
            raise _no_gradient(node)
        operands = self.graph.producers(node)
        wanted: set[int | str] = {i for i, x in enumerate(operands) if x.name in self.active}
        wanted |= {role for role, e in node.params.items() if self._is_wanted(e)}
        build = Builder(self.graph, f"{node.name}.gradient")
        step = Step(build, node, operands, gradient, wanted, self._read)
        rule(step, node.op)
        for key, parts in step.found.items():
            if isinstance(key, int):
                if self.along is not None:
                    parts = [self.along(self.graph, node, key, part) for part in parts]
                self.terms[operands[key].name] += parts
            else:
                self.found[_name(node, key)] += parts


def _name(node: Node, role: str) -> str:
    expression = node.params[role]
    if isinstance(expression, Parameter):
        return expression.name
    message = (
        f"the {role} of {node.name!r} is computed from others: nothing is differentiated by it"
    )
    raise CnnError.of("E0630", message, hint="differentiate the network as it is written")


def _no_gradient(node: Node) -> CnnError:
    kind = "what passes have fused" if node.is_fused else node.op.name
    span = min(node.spans, key=lambda span: (span.source.name, span.start), default=None)
    return CnnError([Diagnostic("E0630", f"{kind} has no gradient, at {node.name!r}", span)])
