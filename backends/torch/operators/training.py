"""What acts in training only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Layer, Slot, call, module
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import Dropout, DropPath, StochasticDepth
from cnndsl.ir.part import Part


def stochastic_depth(part: Part[StochasticDepth]) -> Layer:
    """One draw for each mini-batch, or each sample."""
    survival = Slot("survival", part.op.survival)
    return module(call("StochasticDepth", survival, per_sample=(part.op.per_sample, False)))


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    Dropout: lambda part: module(call("nn.Dropout", Slot("rate", part.op.rate))),
    DropPath: lambda part: module(call("DropPath", Slot("rate", part.op.rate))),
    StochasticDepth: stochastic_depth,
}
