"""Ranges of codes by what the outputs of a network lose, tensor by tensor.

The least squared error of a tensor itself is no good guide where a few values are much larger than
all others: codes that clip them are finer for the rest, and what layers behind make of the large
ones may be clamped anyway. So each tensor alone is rounded to codes of several ranges, and what is
behind it is computed in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Input
from cnndsl.ir.quantisation import Quantisation
from cnndsl.ir.types import TensorType
from cnndsl.passes.logits import with_logits
from cnndsl.quantise.scales import is_moved, union
from cnndsl.runtime.backend import backend
from cnndsl.runtime.module import Array
from cnndsl.runtime.options import Progress

SHARES = (0.85, 0.7, 0.5, 0.35, 0.25)
"""Shares of the range at first that are tried, one after another."""
HOPELESS = 1.5
"""How many times the least loss so far ends the search."""


def clipped(
    graph: Graph,
    values: Mapping[str, Array],
    found: Mapping[str, Quantisation],
    results: Mapping[str, Array],
    progress: Progress,
) -> dict[str, Quantisation]:
    """Quantisations of the nodes of a prepared graph, of narrower ranges where that loses less.

    `values` are the parameters by name, `results` those of all nodes for a few samples. What is
    only moved gets the range of its operands. The loss is the squared error of the outputs, before
    a last softmax, as a share of their squares.
    """
    scored = with_logits(graph)
    chosen = dict(found)
    for done, node in enumerate(graph.nodes()):
        progress("clipping", done, len(graph))
        if is_moved(node):
            chosen[node.name] = reduce(union, (chosen[x.name] for x in graph.producers(node)))
        elif node.name in scored and results[node.name].any():
            chosen[node.name] = _best(scored, values, node, found[node.name], results)
    return chosen


def _best(
    graph: Graph,
    values: Mapping[str, Array],
    node: Node,
    first: Quantisation,
    results: Mapping[str, Array],
) -> Quantisation:
    """Of the quantisation at first and those of shares of its range."""
    behind = _behind(graph, node.name)
    if not behind.outputs:
        return first
    target = backend("onnx")
    module = target.compile(behind, values, target.options(metadata={"network": graph.name}))
    exact = {name: results[name] for name in behind.inputs}

    def loss(codes: Quantisation) -> float:
        made = module.run({**exact, node.name: codes.decode(codes.encode(results[node.name]))})
        total = 0.0
        for output, maker in behind.outputs.items():
            wanted = results[maker]
            total += float(((made[output] - wanted) ** 2).sum() / max((wanted**2).sum(), 1e-30))
        return total

    best, least = first, loss(first)
    for share in SHARES:
        codes = Quantisation(first.scale * share, first.zero)
        lost = loss(codes)
        if lost < least:
            best, least = codes, lost
        elif lost > HOPELESS * least:
            break
    return best


def _behind(graph: Graph, name: str) -> Graph:
    """What follows from the result of a node, which is an input, as all others that it reads."""
    result = Graph(graph.name)
    reached = {name}
    for node in graph.nodes():
        operands = graph.producers(node)
        if not reached & {x.name for x in operands}:
            continue
        reached.add(node.name)
        for operand in operands:
            if operand.name not in result:
                result.add(operand.name, Input(TensorType(operand.type.shape).shape), [])
                result.inputs.append(operand.name)
        result.put(node, [result[x.name] for x in operands])
    result.outputs = {
        out: maker for out, maker in graph.outputs.items() if maker in reached - {name}
    }
    return result
