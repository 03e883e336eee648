"""A squeeze-and-excitation block as one operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute, required_attributes
from cnndsl.ir.operator import Operator, ParameterSpec, Reads, Sign, Windows
from cnndsl.ir.operators import activation, elementary
from cnndsl.ir.operators.activation import Activation
from cnndsl.ir.operators.bases import family
from cnndsl.ir.operators.dense import FullyConnected
from cnndsl.ir.operators.pooling import GlobalAvgPool
from cnndsl.ir.types import TensorType
from cnndsl.ir.windows import require_spatial

FUNCTIONS = {
    op.name: op
    for op in (*family(activation), *family(elementary))
    if issubclass(op, Activation) and not required_attributes(op) and not op().formula.roles()
}
"""Activations without parameters, whose attributes are the defaults."""
FUNCTION = kind.choice(*FUNCTIONS)


@dataclass(frozen=True)
class FactorPart:
    """One operator on the way to the factors; `roles` maps its parameters to those of the block."""

    label: str
    op: Operator
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SqueezeExcite(Operator):
    """y[c,j,k] = s[c] x[c,j,k], s = gate(W2 activation(W1 z + b1) + b2), z[c] the mean of map c.

    Source: Hu et al. (2018), Squeeze-and-excitation networks, section 3. Parameters: w1 [width,
    channels], b1 [width], w2 [channels, width], b2 [channels]. MACs: 2 * width * channels. Passes
    make this operator; the language has no word for it.
    """

    name: ClassVar[str] = "squeeze_excite"
    internal = True
    in_place = True
    sign = Sign.ANY
    gradient = Reads.BOTH

    width: int = attribute(kind.COUNT)
    activation: str = attribute(FUNCTION, "relu")
    gate: str = attribute(FUNCTION, "sigmoid")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The type of the operand, which must have positions."""
        (x,) = inputs
        require_spatial(self.name, x)
        return x

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """All positions."""
        return None

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """Weights and biases of both layers."""
        channels = inputs[0].channels
        return {
            "w1": ParameterSpec((self.width, channels), "xavier"),
            "b1": ParameterSpec((self.width,), "zeros"),
            "w2": ParameterSpec((channels, self.width), "xavier"),
            "b2": ParameterSpec((channels,), "zeros"),
        }

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """Those of both layers."""
        return 2 * self.width * output.channels

    @property
    def functions(self) -> tuple[Operator, Operator]:
        """The activation of the hidden layer, and the gate."""
        return FUNCTIONS[self.activation](), FUNCTIONS[self.gate]()

    def factor_parts(self, channels: int) -> tuple[FactorPart, ...]:
        """The operators that compute the factors s from x, one after another."""
        activation, gate = self.functions
        return (
            FactorPart("squeeze", GlobalAvgPool()),
            FactorPart("reduce", FullyConnected(self.width), {"weight": "w1", "bias": "b1"}),
            FactorPart("activation", activation),
            FactorPart("expand", FullyConnected(channels), {"weight": "w2", "bias": "b2"}),
            FactorPart("gate", gate),
        )
