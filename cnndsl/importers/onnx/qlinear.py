"""Operators on codes as the operators on numbers that they stand for, between roundings.

QLinearConv and its kin read codes with their scales and zero points, and make codes. They become
DequantizeLinear, the operator, and QuantizeLinear: what onnxruntime makes of these in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cnndsl.importers.onnx.refusal import damaged
from cnndsl.importers.onnx.step import STANDARD, Step

CONTRIB = "com.microsoft"
"""The domain of onnxruntime's own operators."""


@dataclass
class _Expansion:
    """The steps for one operator on codes."""

    step: Step
    made: list[Step] = field(default_factory=list)

    def operand(self, place: int) -> str:
        """The name of an operand; empty if it is not given."""
        inputs = self.step.inputs
        return inputs[place] if place < len(inputs) else ""

    def needed(self, place: int) -> str:
        """The name of an operand. Raises Refusal if it is missing."""
        if not self.operand(place):
            raise damaged(f"{self.step}: its operand {place + 1} is missing")
        return self.operand(place)

    def add(self, kind: str, inputs: Sequence[str], role: str, **attributes: object) -> str:
        """One more step; returns the name of its result."""
        output = f"{self.step.outputs[0]}/{role}"
        step = replace(self.step, kind=kind, domain="", inputs=tuple(inputs), outputs=(output,))
        self.made.append(replace(step, attributes=attributes))
        return output

    def decoded(self, place: int, **attributes: object) -> str:
        """The numbers of an operand that its scale and zero point follow."""
        names = [self.needed(place), self.needed(place + 1), self.operand(place + 2)]
        return self.add("DequantizeLinear", names, f"operand{place}", **attributes)

    def bias(self, place: int, x_scale: str, w_scale: str) -> list[str]:
        """The numbers of a bias in steps of the product of two scales, if there is one."""
        if not self.operand(place):
            return []
        scale = self.add("Mul", (x_scale, w_scale), "bias_scale")
        return [self.add("DequantizeLinear", (self.operand(place), scale), "bias", axis=0)]

    def result(self, numbers: str, place: int) -> list[Step]:
        """All steps, with the rounding to the scale and zero point at a place as the last."""
        inputs = (numbers, self.needed(place), self.operand(place + 1))
        last = replace(self.step, kind="QuantizeLinear", domain="", inputs=inputs, attributes={})
        return [*self.made, last]


def _conv(found: _Expansion) -> list[Step]:
    x, w = found.decoded(0), found.decoded(3, axis=0)
    bias = found.bias(8, found.needed(1), found.needed(4))
    return found.result(found.add("Conv", [x, w, *bias], "sums", **found.step.attributes), 6)


def _matmul(found: _Expansion) -> list[Step]:
    a, b = found.decoded(0), found.decoded(3, axis=-1)
    return found.result(found.add("MatMul", [a, b], "sums"), 6)


def _gemm(found: _Expansion) -> list[Step]:
    turned = bool(found.step.attributes.get("transB"))
    a, b = found.decoded(0), found.decoded(3, axis=0 if turned else 1)
    bias = found.bias(6, found.needed(1), found.needed(4))
    sums = found.add("Gemm", [a, b, *bias], "sums", **found.step.attributes)
    if found.operand(7):
        return found.result(sums, 7)
    return [*found.made[:-1], replace(found.made[-1], outputs=found.step.outputs)]


def _join(kind: str) -> Callable[[_Expansion], list[Step]]:
    def expand(found: _Expansion) -> list[Step]:
        operands = [found.decoded(0), found.decoded(3)]
        return found.result(found.add(kind, operands, "sums"), 6)

    return expand


def _function(kind: str) -> Callable[[_Expansion], list[Step]]:
    def expand(found: _Expansion) -> list[Step]:
        attributes = {k: v for k, v in found.step.attributes.items() if k != "channels_last"}
        if found.step.attributes.get("channels_last"):
            raise damaged(f"{found.step} has its channels last")
        return found.result(found.add(kind, [found.decoded(0)], "numbers", **attributes), 3)

    return expand


def _concat(found: _Expansion) -> list[Step]:
    operands = [found.decoded(place) for place in range(2, len(found.step.inputs), 3)]
    joined = found.add("Concat", operands, "joined", **found.step.attributes)
    return found.result(joined, 0)


EXPANSIONS: dict[str, Callable[[_Expansion], list[Step]]] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearAdd": _join("Add"),
    "QLinearMul": _join("Mul"),
    "QLinearConcat": _concat,
    "QLinearAveragePool": _function("AveragePool"),
    "QLinearGlobalAveragePool": _function("GlobalAveragePool"),
    "QLinearLeakyRelu": _function("LeakyRelu"),
    "QLinearSigmoid": _function("Sigmoid"),
}
"""The operators on codes that are read, of ONNX and of onnxruntime."""

ROUNDINGS = ("QuantizeLinear", "DequantizeLinear")
"""Operators that onnxruntime has as its own, too."""


def on_numbers(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, those on codes as steps on numbers. Raises Refusal for operands that miss."""
    for step in steps:
        if step.domain not in (*STANDARD, CONTRIB):
            yield step
        elif step.kind in EXPANSIONS and step.outputs:
            yield from EXPANSIONS[step.kind](_Expansion(step))
        else:
            yield replace(step, domain="") if step.kind in ROUNDINGS else step
