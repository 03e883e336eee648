"""What a graph says twice, said once, before its structure is looked for."""

from __future__ import annotations

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators.join import Concat
from cnndsl.ir.operators.structure import Identity


def normalised(graph: Graph, *, nest: bool = True) -> tuple[Graph, dict[str, str]]:
    """The graph without identities and with cumulative concatenations nested, and what is where.

    The mapping gives for each node of the graph the node that has its value.

    Frameworks concatenate all earlier features at once in each layer of a dense block: after
    concat(a, b), concat(a, b, c) becomes concat(concat(a, b), c), if they are to `nest`.
    """
    result = graph.copy()
    names: dict[str, str] = {}
    cumulative: dict[tuple[str, ...], Node] = {}
    for node in graph.nodes():
        names[node.name] = node.name
        if node.is_fused:
            raise ValueError(f"{node.name} has been fused: only networks before passes have texts")
        if isinstance(node.op, Identity):
            (producer,) = graph.producers(node)
            names[node.name] = names[producer.name]
            result.bypass(node, result[names[node.name]])
        elif nest and isinstance(node.op, Concat):
            operands = result.producers(node)
            flat = tuple(operand.name for operand in operands)
            nested = _nested(operands, cumulative)
            cumulative.setdefault(flat, node)
            if len(nested) < len(operands):
                result.put(node, nested)
    return result, names


def _nested(operands: list[Node], cumulative: dict[tuple[str, ...], Node]) -> list[Node]:
    """The operands with the longest concatenation of the first ones in their place."""
    flat = tuple(operand.name for operand in operands)
    for length in range(len(flat) - 1, 1, -1):
        if flat[:length] in cumulative:
            return [cumulative[flat[:length]], *operands[length:]]
    return operands
