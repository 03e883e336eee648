"""What the kernels of linear layers on codes have in common: bias, multipliers, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.codegen.expressions import Expr, cast, load, vector
from cnndsl.backends.cpu.codegen.layout import Halo, Place
from cnndsl.backends.cpu.kernels.codes.operators import Coded
from cnndsl.backends.cpu.kernels.codes.store import clipped, limits, rounded, stored
from cnndsl.backends.cpu.kernels.kernel import Body, Call
from cnndsl.backends.native.packing import INT32, Weight
from cnndsl.ir.algebra import constant, multiply, pad, subtract, sum_axes
from cnndsl.ir.expressions import Expression
from cnndsl.ir.operators import Conv


def is_linear(call: Call[Any]) -> bool:
    """Whether a call is that of a linear layer on codes."""
    return isinstance(call.op, Coded) and "multiplier" in call.core.params


def padding(call: Call[Any]) -> Halo:
    """What a convolution on codes reads around its operand."""
    op = call.op.quantised.op
    return op.pads if isinstance(op, Conv) else ()


@dataclass(frozen=True)
class Layer:
    """A linear layer on codes, and perhaps an addition that follows.

    Codes are multiplied as they are, less `offset`; what that is too much is taken from the bias.
    """

    call: Call[Coded]
    offset: int = 0

    @property
    def plain(self) -> Call[Any]:
        """The layer that it approximates, with whole numbers as its parameters."""
        return self.call.with_core(self.call.op.quantised.op)

    def weights(self) -> Mapping[str, Weight | Expression]:
        """What is packed besides the weight."""
        op, params, y = self.call.op.quantised, self.call.core.params, self.call.output
        missing = ((0, y.blocks * y.block - y.channels),)
        weight = params["weight"]
        sums = sum_axes(weight, range(1, len(weight.shape)))
        bias = subtract(params["bias"], multiply(sums, float(op.sources[0].zero - self.offset)))
        found: dict[str, Weight | Expression] = {
            "bias": Weight(pad(bias, missing), INT32),
            "multiplier": pad(params["multiplier"], missing),
        }
        if op.result is not None:
            found |= limits(op)
        for part in self.call.epilogue:
            assert isinstance(part.op, Coded)
            join = part.op.quantised
            found |= {
                "factors": constant(list(join.factors)),
                "zeros": constant([source.zero for source in join.sources]),
                "join_limits": limits(join)["limits"],
            }
        return found

    def bias(self, body: Body, block: Expr) -> Expr:
        """The vector that the sums of an output block start with."""
        lanes = self.call.output.block
        return load(body.weights["bias"], block * lanes, lanes)

    def store(self, body: Body, place: Place, total: Expr) -> None:
        """Store what follows from a finished sum."""
        lanes = self.call.output.block
        factor = load(body.weights["multiplier"], place.block * lanes, lanes)
        steps = cast(total, "float32", lanes) * factor
        if self.call.op.quantised.result is None:
            value = steps
        elif self.call.epilogue:
            value = self._joined(body, place, rounded(clipped(body, steps, lanes), lanes), lanes)
        else:
            value = stored(body, steps, lanes)
        body.output.store(body.code, place, value)

    def _joined(self, body: Body, place: Place, centred: Expr, lanes: int) -> Expr:
        """The codes of the sum with a further operand."""
        other = cast(body.repeated(body.inputs[-1], place), "float32", lanes)

        def number(name: str, index: int) -> Expr:
            return vector(load(body.weights[name], index), lanes)

        second = (other - number("zeros", 1)) * number("factors", 1)
        steps = centred * number("factors", 0) + second
        return stored(body, steps, lanes, "join_limits")
