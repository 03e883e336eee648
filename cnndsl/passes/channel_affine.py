"""Maps y[c] = factor[c] * x[c] + shift[c]: what bn, affine and scale are at inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.ir.algebra import ZERO, add, broadcast, divide, multiply, slice_axis, sqrt, subtract
from cnndsl.ir.expressions import Expression
from cnndsl.ir.graph import Node
from cnndsl.ir.operators import Affine, BatchNorm, Scale


@dataclass(frozen=True)
class ChannelAffine:
    """The map; factor and shift are [channels]. Without a shift it keeps zeros."""

    factor: Expression
    shift: Expression | None = None

    @classmethod
    def of(cls, node: Node) -> ChannelAffine:
        """What the node of a ChannelMap computes.

        bn: factor = weight / sqrt(running_var + eps), shift = bias - running_mean * factor
        (Ioffe and Szegedy 2015, algorithm 2).
        """
        params = node.params
        match node.op:
            case BatchNorm(eps=eps):
                factor = divide(params["weight"], sqrt(add(params["running_var"], eps)))
                centre = multiply(params["running_mean"], factor)
                return cls(factor, subtract(params["bias"], centre))
            case Scale(shift=shift):
                return cls(params["factor"], params["shift"] if any(shift) else None)
            case Affine():
                return cls(params["weight"], params.get("bias"))
        raise ValueError(f"{node.name} is no per-channel map")

    def after(self, inner: ChannelAffine) -> ChannelAffine:
        """The map that applies `inner` first."""
        shift = self.shift
        if inner.shift is not None:
            shift = add(multiply(self.factor, inner.shift), ZERO if shift is None else shift)
        return ChannelAffine(multiply(self.factor, inner.factor), shift)

    def part(self, start: int, stop: int) -> ChannelAffine:
        """The map of the channels from `start` up to, not including, `stop`."""
        shift = None if self.shift is None else slice_axis(self.shift, 0, start, stop)
        return ChannelAffine(slice_axis(self.factor, 0, start, stop), shift)

    def without_shift(self) -> ChannelAffine:
        """The scaling alone."""
        return ChannelAffine(self.factor)

    def params(self) -> Mapping[str, Expression]:
        """The parameters of the operator affine that is this map."""
        zeros = broadcast(ZERO, self.factor.shape)
        return {"weight": self.factor, "bias": zeros if self.shift is None else self.shift}
