"""Kernels that serve all sizes, of every operator, at several sizes against the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnndsl.backends.cpu.machine import find_machine
from cnndsl.backends.numpy import run_graph
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import Input
from cnndsl.ir.sizes import at_sizes, is_open
from tests.cpu.support import EXACT, Unoptimised, opened
from tests.operators.cases import CASES, Case, apply, parameter_values

MORE = (0, 1, 2, 5, 9, 14)
"""Positions more than in the case; so many on the first axis, another on each further one."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_operator_at_other_sizes(case: Case):
    try:
        graph, nominal = with_open_sizes(case)
    except OperatorError:  # It has to know a size, and says so.
        return
    if not is_open(graph):
        return
    values = parameter_values(graph, 0)
    machine = Unoptimised(**vars(replace(find_machine(), cores=2)))
    module = opened(graph, values, nominal, machine)
    tried = 0
    for more in MORE:
        sizes = {name: size + more + index for index, (name, size) in enumerate(nominal.items())}
        try:
            known = at_sizes(graph, sizes if more else nominal)
        except CnnError:
            continue
        shapes = tuple(known[name].type.sizes for name in graph.inputs)
        sized = replace(case, shapes=shapes, batch=1)
        inputs = {name: array.astype(np.float32) for name, array in sized.inputs().items()}
        (wanted,) = run_graph(known, values, inputs).values()
        (found,) = module.run(inputs).values()
        assert np.abs(found - wanted).max() <= EXACT * max(1e-6, np.abs(wanted).max()), sizes
        tried += 1
    assert tried
    assert module.facts["compiled"] == 0


def with_open_sizes(case: Case) -> tuple[Graph, dict[str, int]]:
    """The case's operator on inputs of open sizes, equal ones by one name, and what they are."""
    graph, nominal = Graph("case"), {}
    operands = []
    for name, array in case.inputs().items():
        shape: list[int | OpenDim] = [array.shape[1]]
        for axis, size in enumerate(array.shape[2:]):
            symbol = f"s{axis}_{size}"
            shape.append(1 if size == 1 else OpenDim.symbol(symbol))
            if size > 1:
                nominal[symbol] = size
        operands.append(graph.add(name, Input(tuple(shape)), []))
        graph.inputs.append(name)
    node = apply(graph, "y", case.operator, operands)
    graph.outputs["y"] = node.name
    return graph, nominal
