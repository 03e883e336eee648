"""What shares memory and what must not; plans that are wrong are found."""

from __future__ import annotations

from dataclasses import replace

import pytest

import cnndsl
from cnndsl.ir.graph import Graph
from cnndsl.memory import Options, Plan, PlanError, plan, validate


def network(body: str) -> Graph:
    return cnndsl.parse(f"network tested {{ input x [4, 8, 8]\n{body} }}").graph


def planned(body: str, options: Options | None = None) -> tuple[Graph, Plan]:
    graph = network(body)
    found = plan(graph, options or Options())
    validate(graph, found, options or Options())
    return graph, found


def test_elementwise_operators_write_over_dying_operands() -> None:
    graph, found = planned("conv(4) -> bn -> relu -> add { conv(4, 1) | identity } -> conv(2)")
    names = {graph[name].op.name for name in found.overwrites}
    assert names == {"bn", "relu", "add"}


@pytest.mark.parametrize(
    "body",
    [
        "conv(4)\n let kept = relu\n sigmoid -> add { identity | kept }",
        "conv(4)\n output early = identity\n relu -> conv(2)",
    ],
)
def test_what_is_still_needed_is_not_overwritten(body: str) -> None:
    graph, found = planned(body)
    assert not any(graph[name].op.name in ("sigmoid", "relu") and
                   graph.consumers(graph.producers(graph[name])[0])[1:] for name in found.overwrites)
