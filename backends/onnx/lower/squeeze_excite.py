"""Squeeze-and-excitation, taken apart: ONNX has no operator for it."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowering
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Mul, SqueezeExcite


def squeeze_excite_lowering(lowerings: Mapping[type[Operator], Lowering]) -> Lowering:
    """The lowering of the operator, from those of its parts."""

    def lower(site: Site, op: SqueezeExcite) -> None:
        factors, kind = site.input, site.input_type
        for part in op.factor_parts(kind.channels):
            params = {role: site.node.params[name] for role, name in part.roles.items()}
            made = part.op.infer([kind])
            node = Node(f"{site.node.name}/{part.label}", part.op, made, params, site.node.spans)
            lowerings[type(part.op)](site.part(node, [factors], [kind]), part.op)
            factors, kind = node.name, made
        product = Node(site.node.name, Mul(), site.output_type, {}, site.node.spans)
        types = [site.input_type, kind]
        lowerings[Mul](site.part(product, [site.input, factors], types), product.op)

    return lower
