"""Squeeze-and-excitation, taken apart: ONNX has no operator for it."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowering
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Mul, SqueezeExcite
from cnndsl.ir.part import Part


def squeeze_excite_lowering(lowerings: Mapping[type[Operator], Lowering]) -> Lowering:
    """The lowering of the operator, from those of its parts."""

    def lower(site: Site, op: SqueezeExcite) -> None:
        factors, kind = site.input, site.input_type
        for step in op.factor_parts(kind.channels):
            params = {role: site.params[name] for role, name in step.roles.items()}
            part = Part.of(step.op, [kind], params)
            place = site.before(step.label, part, [factors])
            lowerings[type(part.op)](place, part.op)
            factors, kind = place.tensor, part.output
        product = Part.of(Mul(), [site.input_type, kind])
        lowerings[Mul](site.instead(product, [site.input, factors]), product.op)

    return lower
