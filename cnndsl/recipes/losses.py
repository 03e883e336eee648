"""Losses: what training makes small, a mean over the batch, a sum over the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import PROBABILITY, attribute
from cnndsl.recipes.items import Item
from cnndsl.recipes.kinds import FROM_ZERO, TEXT


class Loss(Item):
    """What is made small. Without one, `map` for outputs that are distances, else cross_entropy."""

    slot: ClassVar[str] = "loss"


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-sum_k q_k log p_k, q_k = 1 - smoothing + smoothing/K of the class, smoothing/K of others.

    p is the softmax of the output, or the output behind a softmax. Source: Szegedy et al. (2016),
    section 7.
    """

    name: ClassVar[str] = "cross_entropy"

    smoothing: float = attribute(PROBABILITY, 0.0)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """The mean over the classes of (y_k - q_k)^2, q_k 1 for the class and 0 for others.

    y is the output as the network gives it, also where that is a softmax.
    """

    name: ClassVar[str] = "mse"


@dataclass(frozen=True)
class MapCriterion(Loss):
    """y_D + log(e^-junk + sum_k e^-y_k), D the class, for outputs that are distances.

    The maximum a posteriori criterion; `junk` is the constant j, which keeps distances that are
    large already from growing. Source: LeCun et al. (1998), equation 9.
    """

    name: ClassVar[str] = "map"

    junk: float = attribute(FROM_ZERO, 1.0)


@dataclass(frozen=True)
class OutputWeight(Item):
    """The weight of an output in the loss: 1 for outputs, for auxiliary ones what the text says."""

    name: ClassVar[str] = "output_weight"
    slot: ClassVar[str] = "output weights"
    several: ClassVar[bool] = True

    output: str = attribute(TEXT)
    weight: float = attribute(FROM_ZERO)
