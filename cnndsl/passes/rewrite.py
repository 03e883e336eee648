"""What a pass is: a named rewrite of a graph that says what it did, and why not elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator


@dataclass(frozen=True)
class Fate:
    """What became of one candidate: the node, and what was done or why nothing was."""

    node: str
    text: str


@dataclass
class Report:
    """The fates of all candidates of one run: those rewritten, and the near misses."""

    matched: list[Fate] = field(default_factory=list)
    rejected: list[Fate] = field(default_factory=list)


class Pass(Protocol):
    """A rewrite in place. `algebra` states it as an equation, e.g. `dropout(x) => x`."""

    @property
    def name(self) -> str:
        """The name for `--disable` and reports."""

    @property
    def algebra(self) -> str:
        """The rewrite as an equation."""

    def run(self, graph: Graph) -> Report:
        """Rewrite the graph."""


class Reject(Exception):
    """A near miss; the message is the reason for which the rewrite does not apply."""


Rewrite = Callable[[Graph, Node], str | None]
"""Rewrites the graph at one node and tells what it did; None if the node is no candidate.

Raises Reject, with the graph unchanged, for a near miss. A rewrite may change and delete any
nodes, so what was read from the graph before it is stale.
"""


def rewrite_each(
    graph: Graph,
    kinds: type[Operator] | tuple[type[Operator], ...],
    rewrite: Rewrite,
    *,
    backwards: bool = False,
) -> Report:
    """Try a rewrite at every node of some operators, producers first, or last if `backwards`.

    The report lists them in the order in which they were tried.
    """
    report = Report()
    names = [node.name for node in graph.nodes() if isinstance(node.op, kinds)]
    for name in reversed(names) if backwards else names:
        if name not in graph:
            continue
        try:
            done = rewrite(graph, graph[name])
        except Reject as reason:
            report.rejected.append(Fate(name, str(reason)))
        else:
            if done is not None:
                report.matched.append(Fate(name, done))
    return report


def require_inner(graph: Graph, node: Node) -> None:
    """Raise Reject if the node is an output of the network: its value has to stay as it is."""
    outputs = graph.output_names(node)
    if outputs:
        raise Reject(f"{node.name} is the output {', '.join(outputs)} of the network")


def require_one_reader(graph: Graph, node: Node) -> None:
    """Raise Reject unless exactly one operand of one node reads the node's tensor."""
    require_inner(graph, node)
    readers = len(graph.consumers(node))
    if readers != 1:
        raise Reject(f"{node.name} is read {readers} times")


def describe(node: Node) -> str:
    """A node in the words of a reason."""
    return f"{node.name} ({node.op.name})"
