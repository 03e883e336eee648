"""Activations of a concatenation, computed by the operators that make its parts."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Activation, Concat, Relu
from cnndsl.passes.epilogue import MAKERS
from cnndsl.passes.rectified import nonnegative_nodes
from cnndsl.passes.rewrite import Reject, Report, describe, require_one_reader, rewrite_each


@dataclass(frozen=True)
class ConcatActivation:
    """Moves an activation before the concatenation that it reads, where that ends its own pass.

    Each part must come from an operator that can finish its results, or need no relu. In
    ShuffleNet's units with a stride (Zhang et al. 2018, figure 2c) one part is such a convolution,
    the other the mean of what a relu has made.
    """

    name: str = "concat-activation"
    algebra: str = "relu(concat(conv(x), y)) => concat(relu(conv(x)), y), if y >= 0"

    def run(self, graph: Graph) -> Report:
        """Move each activation without parameters, or leave it."""
        nonnegative = nonnegative_nodes(graph)

        def move(graph: Graph, node: Node) -> str | None:
            (concat,) = graph.producers(node)
            if not isinstance(concat.op, Concat) or node.params:
                return None
            require_one_reader(graph, concat)
            keeps = nonnegative if isinstance(node.op, Relu) else set()
            parts = [part for part in graph.producers(concat) if part.name not in keeps]
            for part in parts:
                if not isinstance(part.op, MAKERS):
                    raise Reject(f"its part {describe(part)} cannot compute it")
                require_one_reader(graph, part)
            for index, part in enumerate(parts):
                name = f"{node.name}/part{index}"
                graph.insert_after(part, name, node.op, spans=node.spans)
            graph.bypass(node, concat)
            return f"moved before {concat.name}"

        return rewrite_each(graph, Activation, move)
