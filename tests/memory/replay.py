"""Running a graph by the reference kernels with all tensors in one real arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnndsl.backends.numpy.run import evaluate_params, run_node
from cnndsl.ir.graph import Graph, Node
from cnndsl.memory import Plan, Use
from cnndsl.runtime.module import Array


def float64_bytes(node: Node, block: int = 1) -> int:
    """With channels up to a multiple of the block."""
    return node.type.elements // node.type.channels * -(-node.type.channels // block) * block * 8


def used(plan: Plan, use: Use) -> dict[str, tuple[int, ...]]:
    """The nodes whose results get to their places in one way, with the operands that matter."""
    return {name: place.operands for name, place in plan.places.items() if place.use is use}


class Arena:
    """Memory full of NaN, and the tensors of a plan in it, in blocks of channels."""

    def __init__(self, graph: Graph, plan: Plan, block: int):
        self.graph = graph
        self.plan = plan
        self.block = block
        self.bytes = np.full(plan.arena_bytes, 0xFF, np.uint8)

    def _blocks(self, name: str) -> Array:
        """[batch, blocks, *spatial, block], float64, where the plan puts it."""
        channels, *spatial = [n for n in self.graph[name].type.shape if isinstance(n, int)]
        shape = [-(-channels // self.block), *spatial, self.block]
        strides = [8 * int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        return np.ndarray(
            (self.plan.batch, *shape),
            np.float64,
            self.bytes,
            self.plan.address(name),
            (self.plan.sample_stride(name), *strides),
        )

    def read(self, name: str) -> Array:
        """A copy of a tensor, [batch, channels, *spatial]."""
        stored = np.moveaxis(self._blocks(name), -1, 2)
        whole = stored.reshape(self.plan.batch, -1, *stored.shape[3:])
        return whole[:, : self.graph[name].type.channels].copy()

    def write(self, name: str, values: Array, first: int = 0) -> None:
        """Write channels from the first one on, each into its lane."""
        stored = self._blocks(name)
        for index in range(values.shape[1]):
            number, lane = divmod(first + index, self.block)
            stored[:, number, ..., lane] = values[:, index]

    def compute(self, node: Node, params: Sequence[Mapping[str, Array]]) -> None:
        """Do what the plan leaves to do; a result that overwrites nothing starts as NaN."""
        place = self.plan.places[node.name]
        if place.use is Use.VIEW:
            return
        operands = [self.read(operand.name) for operand in self.graph.producers(node)]
        if place.copies:
            ends = np.cumsum([x.shape[1] for x in operands])
            for index in place.operands:
                x = operands[index]
                self.write(node.name, x, ends[index] - x.shape[1])
            return
        if place.use is not Use.OVER:
            self._blocks(node.name)[...] = np.nan
        with np.errstate(all="ignore"):
            self.write(node.name, run_node(node, operands, params))


def run_in_arena(
    graph: Graph,
    plan: Plan,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
    block: int = 1,
) -> dict[str, Array]:
    """The outputs by name."""
    arena = Arena(graph, plan, block)
    params = evaluate_params(graph, values, "float64")
    for name in graph.inputs:
        arena.write(name, inputs[name])
    for name in plan.schedule:
        if name not in graph.inputs:
            arena.compute(graph[name], params[name])
    return {name: arena.read(node) for name, node in graph.outputs.items()}
