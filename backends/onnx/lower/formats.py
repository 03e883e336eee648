"""Codes as ONNX models have them: operators of float32 between DequantizeLinear and QuantizeLinear.

Runtimes know these patterns and compute in whole numbers. Codes are uint8, or int8 with zero point
0 if that is what the emitter says.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import helper

from cnndsl.backends.onnx.emitter import Site
from cnndsl.backends.onnx.lower.common import Lowering, Lowerings
from cnndsl.ir.algebra import float32, multiply
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Cast, Dequantise, Meaning, Quantise, Quantised
from cnndsl.ir.part import Part
from cnndsl.ir.quantisation import HIGHEST, Quantisation
from cnndsl.ir.types import TensorType


def _cast(site: Site, op: Cast) -> None:
    site.emit("Cast", site.input, to=helper.np_dtype_to_tensor_dtype(np.dtype(op.dtype.name)))


def _quantise(site: Site, op: Quantise) -> None:
    site.emit("QuantizeLinear", site.input, *_format(site, "result", op.result))


def _dequantise(site: Site, op: Dequantise) -> None:
    assert op.source is not None
    site.emit("DequantizeLinear", site.input, *_format(site, "source", op.source))


def _format(site: Site, role: str, q: Quantisation) -> tuple[str, str]:
    """The scale and the zero point."""
    return site.floats(f"{role}_scale", q.scale), site.zero_point(f"{role}_zero", q.zero)


class _LayerSite(Site):
    """Where a linear layer in float32 is written: its parameters are decoded whole numbers."""

    def decode_with(self, params: Mapping[str, Expression], source: float) -> None:
        """Take the parameters of a layer on codes whose operand has a scale."""
        bias_scale = float32(multiply(params["scale"], source))
        self._scales = {"weight": params["scale"], "bias": bias_scale}

    def parameter(self, role: str) -> str:
        """The decoded weight or bias."""
        return self.expression(role, self.params[role])

    def expression(self, role: str, expression: Expression) -> str:
        """The decoded form of what is computed from the weight or the bias."""
        dtype = np.int8 if role == "weight" else np.int32
        whole = self.whole_numbers(role, expression, dtype)
        scale = super().expression(f"{role}_scale", self._scales[role])
        zeros = self.zeros(f"{role}_zero", expression.shape[0], dtype)
        return self.step(f"{role}_decoded", "DequantizeLinear", whole, scale, zeros, axis=0)


def quantised_lowering(lowerings: Mapping[type[Operator], Lowering]) -> Lowering:
    """The lowering of `Quantised`, from those of what it approximates."""

    def lower(site: Site, op: Quantised) -> None:
        decoded = [
            site.step(f"x{i}", "DequantizeLinear", tensor, *_format(site, f"x{i}", source))
            for i, (tensor, source) in enumerate(zip(site.inputs, op.sources, strict=True))
        ]
        part = _in_float(site.part, op)
        write = lowerings[type(op.op)]
        if op.result is None:
            write(_layer(site.instead(part, decoded), site, op), op.op)
            return
        computed = site.before("exact", part, decoded)
        if op.meaning is Meaning.LINEAR:
            computed = _layer(computed, site, op)
        write(computed, op.op)
        tensor = computed.tensor
        clip = _clip(site, op)
        if clip and op.meaning is Meaning.LINEAR and not site.signed:
            tensor = _round_trip(site, op.result, tensor)
        if clip:
            kind, limits = clip
            tensor = site.step("clipped", kind, tensor, *limits)
        site.emit("QuantizeLinear", tensor, *_format(site, "result", op.result))

    return lower


def _layer(plain: Site, site: Site, op: Quantised) -> _LayerSite:
    """The same place, where parameters are whole numbers."""
    layer = plain.of_kind(_LayerSite)
    layer.decode_with(site.params, op.sources[0].scale)
    return layer


def _in_float(part: Part[Operator], op: Quantised) -> Part[Operator]:
    """What is approximated, on float32."""
    params = {role: e for role, e in part.params.items() if role in ("weight", "bias")}
    if op.meaning is Meaning.MAP:
        assert op.result is not None
        steps = {"weight": op.result.scale / op.sources[0].scale, "bias": op.result.scale}
        params = {role: multiply(e, steps[role]) for role, e in params.items()}
    inputs = tuple(TensorType(x.shape) for x in part.inputs)
    return Part(op.op, params, inputs, TensorType(part.output.shape))


def _round_trip(site: Site, result: Quantisation, tensor: str) -> str:
    """Codes and back: runtimes know a layer by the codes that it makes, clipped or not."""
    form = _format(site, "unclipped", result)
    tensor = site.step("unclipped", "QuantizeLinear", tensor, *form)
    return site.step("decoded", "DequantizeLinear", tensor, *form)


def _clip(site: Site, op: Quantised) -> tuple[str, list[str]] | None:
    """The operator that clips numbers to those of the least and most code, if one has to."""
    assert op.result is not None
    if (op.low, op.high) == (0, HIGHEST):
        return None
    if (op.low, op.high) == (op.result.zero, HIGHEST):
        return "Relu", []
    low, high = ((code - op.result.zero) * op.result.scale for code in (op.low, op.high))
    return "Clip", [site.floats("lowest", low), site.floats("highest", high)]


LOWERINGS: Lowerings = {Cast: _cast, Quantise: _quantise, Dequantise: _dequantise}
