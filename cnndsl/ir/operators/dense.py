"""Operators on whole samples as vectors: fully connected, radial basis functions, flatten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir import attributes as kind
from cnndsl.ir.attributes import attribute
from cnndsl.ir.index import Index, axis, unflat
from cnndsl.ir.operator import Operator, OperatorError, ParameterSpec, Reads, Sign, Windows
from cnndsl.ir.operators.bases import Gathering, Linear
from cnndsl.ir.types import TensorType


class Flattening(Operator):
    """Reads its operand flattened, a map as a vector."""

    def windows(self, inputs: Sequence[TensorType]) -> Windows:
        """All positions."""
        return None


@dataclass(frozen=True)
class FullyConnected(Flattening, Linear):
    """Fully connected layer: y[i] = b[i] + sum_j W[i,j] x[j].

    x is the input flattened channel by channel (last axis fastest). Parameters: weight
    [units, inputs], bias [units]. MACs: units * inputs.
    """

    name: ClassVar[str] = "fc"
    foreign = ("PyTorch Linear", "Keras Dense", "Caffe InnerProduct", "MXNet FullyConnected")
    example = "fc(10)"

    units: int = attribute(kind.COUNT)
    bias: bool = attribute(kind.FLAG, True)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The vector [units]. Raises OperatorError if the input's size is open."""
        require_known(self.name, inputs[0])
        return TensorType((self.units,))

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The weight [units, inputs] and the bias."""
        require_known(self.name, inputs[0])
        specs = {"weight": ParameterSpec((self.units, inputs[0].elements), "xavier")}
        if self.bias:
            specs["bias"] = ParameterSpec((self.units,), "zeros")
        return specs

    def macs(self, inputs: Sequence[TensorType], output: TensorType) -> int:
        """units * inputs."""
        return self.units * inputs[0].elements


@dataclass(frozen=True)
class RadialBasis(Flattening):
    """Radial basis function units: y[i] = sum_j (x[j] - centres[i,j])^2.

    x is the input flattened channel by channel. The class of the nearest centre is the answer.
    Source: LeCun et al. (1998), section II.B, whose centres are fixed at -1 and +1. Parameters:
    centres [units, inputs], not learned.
    """

    name: ClassVar[str] = "rbf"
    example = "rbf(10)"
    smaller_is_better = True
    sign = Sign.NONNEGATIVE
    gradient = Reads.OPERANDS

    units: int = attribute(kind.COUNT)

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The vector [units]. Raises OperatorError if the input's size is open."""
        require_known(self.name, inputs[0])
        return TensorType((self.units,))

    def parameters(self, inputs: Sequence[TensorType]) -> dict[str, ParameterSpec]:
        """The centres [units, inputs]."""
        require_known(self.name, inputs[0])
        shape = (self.units, inputs[0].elements)
        return {"centres": ParameterSpec(shape, "signs", learned=False)}


@dataclass(frozen=True)
class Flatten(Flattening, Gathering):
    """The input as a vector, channel by channel (last axis fastest)."""

    name: ClassVar[str] = "flatten"
    foreign = ("PyTorch Flatten", "Keras Flatten")

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        """The vector of all elements. Raises OperatorError if the input's size is open."""
        require_known(self.name, inputs[0])
        return TensorType((inputs[0].elements,))

    def source(self, x: TensorType) -> tuple[Index, ...]:
        """The element with the number of the channel."""
        return unflat(axis(0), x.sizes)


def require_known(
    operator: str,
    x: TensorType,
    hint: str = "global_avgpool makes a vector of any map; or give the input numbers",
) -> None:
    """Raise OperatorError if a size of the operand is open."""
    if x.is_open:
        raise OperatorError(
            "E0308",
            f"{operator} needs an input of known size, not {x}",
            hint=hint,
            show_operands=True,
        )
