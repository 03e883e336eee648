"""The roundings of a model beside its graph, which is one of float32 then."""

from __future__ import annotations

import numpy as np

from cnndsl.importers.onnx.builder import Builder
from cnndsl.importers.onnx.refusal import unsupported
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Input
from cnndsl.ir.quantisation import LARGEST_BIAS
from cnndsl.quantise.calibration import structure_hash
from cnndsl.quantise.explicit import OUTPUT, Explicit, Rounding
from cnndsl.quantise.rounding import Rounded


def separated(builder: Builder) -> Explicit | None:
    """Take the roundings out of the graph; None if there are none.

    Raises Refusal where a node reads a tensor rounded in one place and not, or otherwise, in
    another.
    """
    graph = builder.graph
    steps = [node for node in graph.nodes() if isinstance(node.op, Rounded)]
    if not steps:
        return None
    scales = {name: row for name, row in builder.scales.items() if name not in _too_fine(builder)}
    tensors: dict[str, list[Rounding]] = {}
    for step in steps:
        (node,) = graph.producers(step)
        tensors.setdefault(node.name, []).append(_rounding(graph, node, step))
    for step in steps:
        (node,) = graph.producers(step)
        if isinstance(node.op, Input) and graph.output_names(step):
            raise unsupported(f"the input {node.name!r} is an output, rounded to codes")
        graph.bypass(step, node)
    rows = {name: tuple(row) for name, row in tensors.items()}
    return Explicit(graph.name, structure_hash(graph), rows, scales)


def _rounding(graph: Graph, node: Node, step: Node) -> Rounding:
    """What a rounding says of a node, of some readers only if there are others."""
    assert isinstance(step.op, Rounded)
    others = [reader for reader, _ in graph.consumers(node) if reader.name != step.name]
    if not others and not graph.output_names(node):
        return Rounding(step.op.result, shares=step.op.shares)
    readers = dict.fromkeys(reader.name for reader, _ in graph.consumers(step))
    elsewhere = {
        reader.name
        for other in others
        for reader in ([r for r, _ in graph.consumers(other)] if _is_rounded(other) else [other])
    }
    for name in readers:
        if name in elsewhere:
            raise unsupported(f"{name} reads {node.name} rounded to codes, and otherwise")
    outputs = [OUTPUT + name for name in graph.output_names(step)]
    return Rounding(step.op.result, (*readers, *outputs), step.op.shares)


def _is_rounded(node: Node) -> bool:
    return isinstance(node.op, Rounded)


def _too_fine(builder: Builder) -> set[str]:
    """The weights whose scales times that of an operand are too fine for their layer's bias."""
    found = set()
    for node in builder.graph.nodes():
        weight, bias = (node.params.get(role) for role in ("weight", "bias"))
        if not isinstance(weight, Parameter) or weight.name not in builder.scales:
            continue
        (operand, *_) = builder.graph.producers(node)
        if not isinstance(operand.op, Rounded) or not isinstance(bias, Parameter):
            continue
        whole, shares = operand.op.codes
        steps = whole.scale * min(shares, default=1.0) * np.array(builder.scales[weight.name])
        if (np.abs(builder.weights[bias.name]) > steps * LARGEST_BIAS).any():
            found.add(weight.name)
    return found
