"""Graphs in bfloat16 for the target cpu, and how they are compared with the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.numpy.run import node_params, run_node
from cnndsl.ir.algebra import bfloat16
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Cast, Input, Linear
from cnndsl.ir.types import BFLOAT16, FLOAT32
from cnndsl.runtime.layers import Layer
from cnndsl.runtime.module import Array
from tests.cpu.support import WINOGRAD
from tests.operators.cases import Case, apply, parameter_values

ULP = 2.0**-7
"""Between neighbours of bfloat16, at most, as a part of the smaller one."""


def together(cases: Sequence[Case], seed: int) -> tuple[Graph, dict[str, Array], dict[str, Array]]:
    """One graph of several cases, its parameters, its inputs; operands and results are bfloat16."""
    graph = Graph("short")
    inputs: dict[str, Array] = {}
    for number, case in enumerate(cases):
        operands = []
        for name, array in case.inputs().items():
            x = graph.add(f"{name}.{number}", Input(array.shape[1:]), [])
            graph.inputs.append(x.name)
            inputs[x.name] = array.astype(np.float32)
            operands.append(graph.add(f"short{name}.{number}", Cast(BFLOAT16), [x]))
        node = apply(graph, f"y{number}", case.operator, operands)
        if isinstance(node.op, Linear):
            weight = {**node.params, "weight": bfloat16(node.params["weight"])}
            node = graph.put(replace(node, core=replace(node.core, params=weight)), operands)
        last = graph.add(f"f{number}", Cast(FLOAT32), [node])
        graph.outputs[f"out{number}"] = last.name
    return graph, parameter_values(graph, seed), inputs


def assert_near(
    module: CpuModule,
    graph: Graph,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
    *,
    roundings: int = 1,
) -> None:
    """Every tensor of the module is what the reference makes of the operands that the module has.

    Both round a number of float32 once, to the same or to neighbouring numbers: so they differ by
    one step of bfloat16, beside what float32 may differ by. A node that the target takes apart is
    rounded more often. One that rounds what its core reads may see a step of that, too. Winograd's
    tiles of bfloat16 cost a step of the largest result.
    """
    tiles = {layer.node for layer in module.layers if is_winograd_of_words(layer)}
    made: dict[str, Array] = {**inputs, **module.trace(inputs)}
    for node in graph.nodes():
        if isinstance(node.op, Input):
            continue
        operands = [made[x.name].astype(np.float64) for x in graph.producers(node)]
        params = node_params(node, values, "float64")
        wanted = run_node(node, operands, params)
        actual = made.setdefault(node.name, wanted)
        finite = np.isfinite(wanted)
        np.testing.assert_array_equal(actual[~finite], wanted[~finite], err_msg=node.name)
        largest = np.abs(wanted[finite]).max(initial=0)
        allowed = np.full(wanted.shape, WINOGRAD * largest)
        if node.type.dtype == BFLOAT16:
            allowed += ULP * largest * (node.name in tiles)
            allowed += roundings * ULP * np.abs(wanted) + _step_inside(node, operands, params)
        apart = np.abs(actual - wanted)[finite]
        assert (apart <= allowed[finite]).all(), (node.name, apart.max(), largest)


def is_winograd_of_words(layer: Layer) -> bool:
    """Whether a layer's tiles are rounded to bfloat16."""
    return layer.family == "winograd" and layer.format == BFLOAT16.name


def _step_inside(node: Node, operands: list[Array], params: Sequence[Mapping[str, Array]]) -> float:
    """What a step of the largest number that a prologue rounds may do to a result."""
    inner = len(node.prologue)
    if not inner or not isinstance(node.prologue[-1].op, Cast) or "weight" not in params[inner]:
        return 0.0
    first, *others = node.prologue
    read = run_node(replace(node, core=first, prologue=(), epilogue=(*others,)), operands, params)
    return float(ULP * np.abs(read).max() * np.abs(params[inner]["weight"]).max())
