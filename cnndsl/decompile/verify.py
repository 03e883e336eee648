"""Whether two graphs are one but for the names, and which node is which."""

from __future__ import annotations

from cnndsl.ir.expressions import Expression, Parameter
from cnndsl.ir.graph import Graph, Node


def matched(first: Graph, second: Graph) -> dict[str, str] | None:
    """For each node of the first graph the same node of the second; None if the graphs differ.

    The walk goes from the outputs to operands, in their order. Nodes are the same if their
    operators with all attributes, their types and the shapes of their parameters are, and their
    operands. What the second graph shares, the first shares. Inputs, and values that nothing
    reads, are compared in the order that they have in their graphs.
    """
    ours, theirs = _ends(first), _ends(second)
    if ours.keys() != theirs.keys() or len(first) != len(second):
        return None
    names: dict[str, str] = {}
    shared: dict[str, Expression] = {}
    pending = [(ours[key], theirs[key]) for key in ours]
    while pending:
        name, other = pending.pop()
        if names.get(name, other) != other:
            return None
        if name in names:
            continue
        names[name] = other
        a, b = first[name], second[other]
        operands = [[p.name for p in g.producers(n)] for g, n in ((first, a), (second, b))]
        if not _alike(a, b, shared) or len(operands[0]) != len(operands[1]):
            return None
        pending += zip(*operands, strict=True)
    return names if len(set(names.values())) == len(names) == len(first) else None


def _ends(graph: Graph) -> dict[object, str]:
    """Where the walk starts: the nodes by what they are to the outside."""
    ends: dict[object, str] = {("output", name): node for name, node in graph.outputs.items()}
    for name, auxiliary in graph.auxiliaries.items():
        ends["auxiliary", name, auxiliary.weight] = auxiliary.node
    ends |= {("input", index): name for index, name in enumerate(graph.inputs)}
    used = {*ends.values(), *(source for source, _ in graph.nx.edges())}
    unused = [node.name for node in graph.nodes() if node.name not in used]
    return ends | {("unused", index): name for index, name in enumerate(unused)}


def _alike(a: Node, b: Node, shared: dict[str, Expression]) -> bool:
    if a.op != b.op or a.type != b.type or a.params.keys() != b.params.keys():
        return False
    for role, ours in a.params.items():
        theirs = b.params[role]
        if ours.shape != theirs.shape:
            return False
        if isinstance(theirs, Parameter):
            if shared.setdefault(theirs.name, ours) != ours:
                return False
        elif ours != theirs:
            return False
    return True
