"""Fused operators, taken apart: ONNX has no operators that compute several at once."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowering
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators.fused import Fused, part_params


def fused_lowering(lowerings: Mapping[type[Operator], Lowering]) -> Lowering:
    """The lowering of fused operators, from those of their parts."""

    def lower(site: Site, op: Fused) -> None:
        value, *others = site.inputs
        waiting = iter(others)
        parts = list(op.parts(site.types))
        for part in parts:
            last = part is parts[-1]
            name = site.node.name if last else f"{site.node.name}/{part.label}"
            params = part_params(site.node.params, part.label)
            node = Node(name, part.op, part.output, params, site.node.spans)
            inputs = [value, next(waiting)] if len(part.inputs) == 2 else [value]
            lowerings[type(part.op)](site.part(node, inputs, part.inputs), part.op)
            value = name

    return lower
