"""Running a graph node by node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from cnndsl.backends.numpy.kernels import KERNELS
from cnndsl.backends.numpy.kernels.formats import rounded_to
from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operator import Operator, OperatorError
from cnndsl.ir.operators import Input, Quantised
from cnndsl.ir.part import Part
from cnndsl.ir.sizes import at_sizes, is_open
from cnndsl.runtime.module import Array, graph_ports, open_sizes
from cnndsl.weights.evaluate import Evaluator

NodeParams = Mapping[str, Sequence[Mapping[str, Array]]]
"""By node name the arrays of each part, by role."""


def run_graph(
    graph: Graph,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
    dtype: str = "float64",
    keep: Collection[str] | None = None,
) -> dict[str, Array]:
    """The outputs of a graph by output name; with `keep`, those nodes' results by node name.

    `values` holds the parameters by name, `inputs` arrays [batch, *shape] by input name.
    Everything is computed in `dtype`, long sums in float64. Raises CnnError if open sizes turn out
    too small (E0604) or memory runs out (E0711).
    """
    params = evaluate_params(graph, values, dtype)
    if keep is not None:
        return run_nodes(graph, params, inputs, dtype, keep)
    results = run_nodes(graph, params, inputs, dtype, graph.outputs.values())
    return outputs_of(graph, results)


def outputs_of(graph: Graph, results: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by name, of the nodes' results; what is one for all samples has no batch axis."""
    return {
        name: results[node] if graph[node].type.batched else results[node][0]
        for name, node in graph.outputs.items()
    }


def evaluate_params(graph: Graph, values: Mapping[str, Array], dtype: str) -> NodeParams:
    """The arrays of all nodes' weight expressions."""
    params: dict[str, Sequence[Mapping[str, Array]]] = {}
    for node in graph.nodes():
        params[node.name] = node_params(node, values, dtype)
    return params


def node_params(
    node: Node, values: Mapping[str, Array], dtype: str
) -> Sequence[Mapping[str, Array]]:
    """The arrays of a node's parts, by role."""
    evaluate = Evaluator(values)
    return [
        {role: evaluate(e, _param_dtype(part.op, role, dtype)) for role, e in part.params.items()}
        for part in node.parts
    ]


def _param_dtype(op: Operator, role: str, dtype: str) -> str:
    """float32 for what codes are multiplied with, float64 for whole numbers."""
    if not isinstance(op, Quantised):
        return dtype
    return "float32" if role in ("scale", "multiplier") else "float64"


def run_nodes(
    graph: Graph,
    params: NodeParams,
    inputs: Mapping[str, Array],
    dtype: str,
    keep: Collection[str],
) -> dict[str, Array]:
    """The results of the nodes named in `keep`; other results live until their last use.

    Nodes that `keep` does not depend on are left out.
    """
    import networkx as nx

    if is_open(graph):
        ports, _ = graph_ports(graph, None)
        graph = at_sizes(graph, open_sizes(ports, {n: a.shape[1:] for n, a in inputs.items()}))
    needed = set(keep).union(*(nx.ancestors(graph.nx, name) for name in keep))
    readers = Counter(source for source, target in graph.nx.edges() if target in needed)
    alive: dict[str, Array] = {}
    for node in graph.nodes():
        if node.name not in needed:
            continue
        if isinstance(node.op, Input):
            alive[node.name] = np.asarray(inputs[node.name], dtype)
            continue
        operands = [producer.name for producer in graph.producers(node)]
        alive[node.name] = run_node(node, [alive[name] for name in operands], params[node.name])
        for name in operands:
            readers[name] -= 1
            if not readers[name] and name not in keep:
                del alive[name]
    return {name: alive[name] for name in keep}


def run_node(node: Node, operands: list[Array], params: Sequence[Mapping[str, Array]]) -> Array:
    """The result of one node. Raises CnnError (E0604, E0711) as `run_graph` does."""
    waiting = iter(params)

    def compute(part: Part[Operator], values: list[Array]) -> Array:
        return KERNELS[type(part.op)](part.op, values, dict(next(waiting)))

    try:
        with np.errstate(all="ignore"):
            return rounded_to(node.type.dtype.name, node.fold(operands, compute))
    except OperatorError as error:
        raise CnnError.of(
            "E0604",
            f"the network cannot take an input of this size: {error.message}",
            hint="give a larger input",
            notes=[f"at {node.name} ({node.op.name})"],
        ) from None
    except MemoryError:
        raise CnnError.of(
            "E0711", f"not enough memory to compute {node.name} ({node.op.name}, {node.type})"
        ) from None
