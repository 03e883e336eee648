"""Running a graph by the reference kernels with all tensors in one real arena."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnndsl.backends.numpy.kernels import KERNELS
from cnndsl.backends.numpy.run import evaluate_params
from cnndsl.ir.graph import Graph, Node
from cnndsl.memory import Plan
from cnndsl.runtime.module import Array


def float64_bytes(node: Node) -> int:
    return node.type.elements * 8


class Arena:
    """Memory full of NaN, and the tensors of a plan in it."""

    def __init__(self, graph: Graph, plan: Plan):
        self.graph = graph
        self.plan = plan
        self.bytes = np.full(plan.arena_bytes, 0xFF, np.uint8)

    def tensor(self, name: str) -> Array:
        """[batch, *shape], float64, where the plan puts it."""
        shape = [size for size in self.graph[name].type.shape if isinstance(size, int)]
        strides = [8 * int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        return np.ndarray(
            (self.plan.batch, *shape),
            np.float64,
            self.bytes,
            self.plan.address(name),
            (self.plan.sample_stride(name), *strides),
        )

    def compute(self, node: Node, params: Mapping[str, Array]) -> None:
        """Do what the plan leaves to do; a result that overwrites nothing starts as NaN."""
        operands = [self.tensor(operand.name) for operand in self.graph.producers(node)]
        result = self.tensor(node.name)
        if node.name in self.plan.views:
            return
        if node.name in self.plan.copies:
            ends = np.cumsum([x.shape[1] for x in operands])
            for index in self.plan.copies[node.name]:
                x = operands[index]
                result[:, ends[index] - x.shape[1] : ends[index]] = x
            return
        if node.name not in self.plan.overwrites:
            result[...] = np.nan
        with np.errstate(all="ignore"):
            result[...] = KERNELS[type(node.op)](node.op, operands, dict(params))


def run_in_arena(
    graph: Graph, plan: Plan, values: Mapping[str, Array], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    """The outputs by name."""
    arena = Arena(graph, plan)
    params = evaluate_params(graph, values, "float64")
    for name in graph.inputs:
        arena.tensor(name)[...] = inputs[name]
    for name in plan.schedule:
        if name not in graph.inputs:
            arena.compute(graph[name], params[name])
    return {name: arena.tensor(node).copy() for name, node in graph.outputs.items()}
