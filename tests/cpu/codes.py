"""Graphs on codes for the target cpu, and how they are compared with the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.numpy import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Add, Dequantise, Input, Quantise, Quantised
from cnndsl.runtime.module import Array
from tests.operators.cases import Case, apply, parameter_values
from tests.quantise.test_meaning import random_scales, step


def together(cases: Sequence[Case], seed: int) -> tuple[Graph, dict[str, Array], dict[str, Array]]:
    """One graph of several cases on codes, its parameters, its inputs of two samples."""
    graph = Graph("codes")
    values: dict[str, Array] = {}
    inputs: dict[str, Array] = {}
    for number, case in enumerate(cases):
        rng = np.random.default_rng([seed, number])
        sources, result = random_scales(case, int(rng.integers(1 << 16)))
        exact = Graph("exact")
        operands = []
        for i, (shape, source) in enumerate(zip(case.shapes, sources, strict=True)):
            x = graph.add(f"x{number}.{i}", Input(shape), [])
            graph.inputs.append(x.name)
            inputs[x.name] = source.decode(rng.integers(0, 256, (2, *shape)))
            operands.append(graph.add(f"q{number}.{i}", Quantise(source), [x]))
        own = [exact.add(f"x{i}", Input(shape), []) for i, shape in enumerate(case.shapes)]
        part = apply(exact, f"y{number}", case.operator, own).core
        values |= parameter_values(exact, int(rng.integers(1 << 16)))
        op, params = step(part, sources[0], result)
        limits = (0, 255) if rng.random() < 0.5 else (3, 250)
        y = graph.add(f"y{number}", Quantised(op, result, *limits), operands, params)
        graph.outputs[f"out{number}"] = graph.add(f"f{number}", Dequantise(), [y]).name
    return graph, values, inputs


def assert_same_codes(
    module: CpuModule,
    graph: Graph,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
) -> None:
    """Every tensor that the module has is that of the reference to the bit.

    It has all but those of layers that a sum follows. What stands behind arithmetic of float32 is
    left out: every target rounds it in its own way.
    """
    made = module.trace(inputs)
    given = [graph[name] for name in _exact(graph)]
    nodes = [node.name for node in given if node.name in made]
    for node in (node for node in given if node.name not in made):
        if not isinstance(node.op, Input):
            ((reader, _),) = graph.consumers(node)
            assert isinstance(reader.op.op, Add)  # type: ignore[attr-defined]
    wanted = run_graph(graph, values, inputs, "float32", nodes)
    for name in nodes:
        assert made[name].dtype == wanted[name].dtype
        np.testing.assert_array_equal(made[name], wanted[name], err_msg=name)


def _exact(graph: Graph) -> dict[str, None]:
    """The nodes that follow from the inputs by arithmetic on codes alone, in order."""
    found: dict[str, None] = {}
    for node in graph.nodes():
        known = isinstance(node.op, Input | Quantise | Quantised | Dequantise)
        if known and all(operand.name in found for operand in graph.producers(node)):
            found[node.name] = None
    return found
