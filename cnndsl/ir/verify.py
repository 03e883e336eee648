"""What must hold of every graph, between any two passes."""

from __future__ import annotations

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import Input, MaxPool


class GraphError(AssertionError):
    """A graph is broken, which is a mistake of whatever changed it last, never of a user."""


def verify(graph: Graph) -> None:
    """Raise GraphError unless the graph is sound.

    It has no cycles; inputs, outputs, auxiliary outputs and stages exist; every node has as many
    operands as its operator takes, is bound to them, has the type that the operator infers, and
    an expression of the right shape for each parameter and constant, and no others.
    """
    import networkx as nx

    if not nx.is_directed_acyclic_graph(graph.nx):
        raise GraphError(f"{graph.name} has a cycle")
    _verify_names(graph)
    for node in graph.nodes():
        _verify_operands(graph, node)
        _verify_parts(graph, node)


def _verify_names(graph: Graph) -> None:
    if not graph.outputs:
        raise GraphError(f"{graph.name} has no output")
    named = [
        *graph.inputs,
        *graph.outputs.values(),
        *(aux.node for aux in graph.auxiliaries.values()),
        *(node for _, node in graph.stages),
    ]
    missing = [name for name in named if name not in graph]
    if missing:
        raise GraphError(f"{graph.name} names {missing[0]!r}, which is not there")
    inputs = [node.name for node in graph.nodes() if isinstance(node.op, Input)]
    if sorted(inputs) != sorted(graph.inputs):
        raise GraphError(f"the inputs are {inputs}, not {graph.inputs}")
    for name in graph.nx:
        if graph[name].name != name:
            raise GraphError(f"{graph[name].name!r} stands under the name {name!r}")


def _verify_operands(graph: Graph, node: Node) -> None:
    keys = sorted(key for _, _, key in graph.nx.in_edges(node.name, keys=True))
    if keys != list(range(len(keys))) or len(keys) != node.operands:
        raise GraphError(f"{node.name} ({node.op.name}) has the operands {keys}")


def _verify_parts(graph: Graph, node: Node) -> None:
    """Bound to the operands, and typed and with parameters as the operators say."""
    try:
        bound = node.bound(graph.input_types(node))
    except OperatorError as error:
        raise GraphError(f"{node.name} ({node.op.name}): {error.message}") from error
    for part, expected in zip(node.parts, bound.parts, strict=True):
        if part != expected:
            raise GraphError(f"{node.name} ({part.op.name}) is {part}, not {expected}")
        found = {role: expression.shape for role, expression in part.params.items()}
        if found != part.shapes():
            raise GraphError(f"{node.name} ({part.op.name}) has {found}, not {part.shapes()}")
    if any(isinstance(part.op, MaxPool) for part in (*node.prologue, *node.epilogue[:-1])):
        raise GraphError(f"{node.name} has a pool that is not its last part")
