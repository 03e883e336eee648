"""Initialisers: what weights are before training; what none names is as its operator says.

Of several items for a weight the last holds. `of` names operators and `at` paths of layers, `*`
standing for anything; without either an item is for all weights that would start random, or the
biases beside them. n is the fan of a weight: the values that make one result, or with `fan=fan_out`
the results that one value goes into.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import FLAG, NUMBER, POSITIVE, attribute, choice, optional
from cnndsl.recipes.items import Item
from cnndsl.recipes.kinds import OPERATORS, PATHS, TEXT

FAN = choice("fan_in", "fan_out")
SHAPE = choice("normal", "uniform")


@dataclass(frozen=True)
class Initialiser(Item):
    """What some weights are before training."""

    slot: ClassVar[str] = "initialisers"
    several: ClassVar[bool] = True
    role: ClassVar[str] = "weight"

    of: tuple[str, ...] | None = attribute(optional(OPERATORS), None, by_keyword=True)
    at: tuple[str, ...] | None = attribute(optional(PATHS), None, by_keyword=True)


@dataclass(frozen=True)
class He(Initialiser):
    """Random of the deviation sqrt(2/n). Source: He et al. (2015), equation 10."""

    name: ClassVar[str] = "he"

    fan: str = attribute(FAN, "fan_in")
    shape: str = attribute(SHAPE, "normal")


@dataclass(frozen=True)
class Xavier(Initialiser):
    """Of the deviation sqrt(2/(n_in + n_out)). Source: Glorot, Bengio (2010), equation 16."""

    name: ClassVar[str] = "xavier"

    shape: str = attribute(SHAPE, "uniform")


@dataclass(frozen=True)
class Gaussian(Initialiser):
    """Normal of a mean and a deviation; `truncated` at two deviations."""

    name: ClassVar[str] = "gaussian"

    deviation: float = attribute(POSITIVE, 0.01)
    mean: float = attribute(NUMBER, 0.0)
    truncated: bool = attribute(FLAG, False)


@dataclass(frozen=True)
class Uniform(Initialiser):
    """Uniform from -limit to limit; with `per_fan` from -limit/n to limit/n, n the fan in."""

    name: ClassVar[str] = "uniform"

    limit: float = attribute(POSITIVE, 1.0)
    per_fan: bool = attribute(FLAG, False)


@dataclass(frozen=True)
class Fill(Initialiser):
    """All of one value, such as the scales of the last bn in residual branches: 0."""

    name: ClassVar[str] = "fill"

    value: float = attribute(NUMBER, 0.0)


@dataclass(frozen=True)
class Bias(Initialiser):
    """Biases of one value."""

    name: ClassVar[str] = "bias"
    role: ClassVar[str] = "bias"

    value: float = attribute(NUMBER, 0.0)


@dataclass(frozen=True)
class Pretrained(Initialiser):
    """All weights that a file has under their names and in their shapes.

    The file may be that of a shallower network, as for Simonyan, Zisserman (2014), section 3.1; it
    stands beside the text.
    """

    name: ClassVar[str] = "pretrained"
    role: ClassVar[str] = "*"

    file: str = attribute(TEXT)
