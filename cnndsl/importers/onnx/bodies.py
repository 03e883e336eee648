"""The branches of an If as steps whose names nothing else in the model has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cnndsl.importers.onnx.refusal import damaged
from cnndsl.importers.onnx.step import STANDARD, Body, Step
from cnndsl.importers.onnx.tensors import Tensors

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

MakeStep = Callable[["NodeProto", Tensors], Step]

BRANCHES = ("then_branch", "else_branch")
DEEPEST = 8
"""Ifs inside one another."""


def with_bodies(
    step: Step, node: NodeProto, tensors: Tensors, make: MakeStep, depth: int = 0
) -> Step:
    """An If with its branches as attributes, anything else as it is. Raises Refusal."""
    if step.kind != "If" or step.domain not in STANDARD:
        return step
    if depth == DEEPEST:
        raise damaged(f"{step} is an If in {depth} others")
    graphs = {item.name: item.g for item in node.attribute if item.name in BRANCHES}
    if set(graphs) != set(BRANCHES):
        raise damaged(f"{step} lacks a branch")
    bodies = {
        name: _body(graphs[name], f"{_own(step)}/{name}", tensors, make, depth) for name in BRANCHES
    }
    reads = dict.fromkeys(name for body in bodies.values() for name in body.reads)
    return replace(step, inputs=(*step.inputs[:1], *reads), attributes=bodies)


def _own(step: Step) -> str:
    return next(filter(None, step.outputs), step.name)


def _body(graph: GraphProto, prefix: str, tensors: Tensors, make: MakeStep, depth: int) -> Body:
    """A branch, all that it makes or holds under names of its own."""
    names: dict[str, str] = {}
    for proto in graph.initializer:
        names[proto.name] = f"{prefix}/{proto.name}"
        tensors.add(proto, names[proto.name])
    outside: dict[str, None] = {}
    steps = []
    for node in graph.node:
        step = with_bodies(make(node, tensors), node, tensors, make, depth + 1)
        outside |= dict.fromkeys(n for n in step.inputs if n and n not in names)
        inputs = tuple(names.get(name, name) for name in step.inputs)
        if any(name in names for name in step.outputs if name):
            raise damaged(f"a tensor of a branch of an If is made twice by {step}")
        names |= {name: f"{prefix}/{name}" for name in step.outputs if name}
        outputs = tuple(names[name] if name else "" for name in step.outputs)
        attributes = {
            key: _renamed(value, names) if isinstance(value, Body) else value
            for key, value in step.attributes.items()
        }
        steps.append(replace(step, inputs=inputs, outputs=outputs, attributes=attributes))
    results = [info.name for info in graph.output]
    outside |= dict.fromkeys(name for name in results if name not in names)
    return Body(tuple(steps), tuple(names.get(n, n) for n in results), tuple(outside))


def _renamed(body: Body, names: Mapping[str, str]) -> Body:
    """A branch inside a branch, with the names that the outer one gives."""

    def renamed(found: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(name, name) for name in found)

    steps = []
    for step in body.steps:
        attributes = {
            key: _renamed(value, names) if isinstance(value, Body) else value
            for key, value in step.attributes.items()
        }
        steps.append(replace(step, inputs=renamed(step.inputs), attributes=attributes))
    return Body(tuple(steps), renamed(body.outputs), renamed(body.reads))
