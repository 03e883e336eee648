"""Optimisers: steps by gradients g at a rate r; `decay` is that of weights w."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import POSITIVE, attribute
from cnndsl.recipes.items import Item
from cnndsl.recipes.kinds import BELOW_ONE, FROM_ZERO


@dataclass(frozen=True)
class Optimiser(Item):
    """How weights follow gradients."""

    slot: ClassVar[str] = "optimiser"

    rate: float = attribute(POSITIVE, 0.01)


@dataclass(frozen=True)
class Sgd(Optimiser):
    """v <- momentum v + g + decay w, w <- w - r v: stochastic gradient descent as PyTorch's."""

    name: ClassVar[str] = "sgd"

    momentum: float = attribute(BELOW_ONE, 0.9)
    decay: float = attribute(FROM_ZERO, 0.0)


@dataclass(frozen=True)
class Nesterov(Optimiser):
    """v <- momentum v + g + decay w, w <- w - r (g + decay w + momentum v).

    Source: Sutskever et al. (2013), as PyTorch writes it.
    """

    name: ClassVar[str] = "nesterov"

    momentum: float = attribute(BELOW_ONE, 0.9)
    decay: float = attribute(FROM_ZERO, 0.0)


@dataclass(frozen=True)
class Velocity(Optimiser):
    """v <- momentum v - decay r w - r g, w <- w + v: rate and decay inside of the velocity.

    Unlike in `sgd`, a fall of the rate does not shrink the velocity. Source: Krizhevsky et al.
    (2012), section 5.
    """

    name: ClassVar[str] = "velocity"

    momentum: float = attribute(BELOW_ONE, 0.9)
    decay: float = attribute(FROM_ZERO, 0.0)


@dataclass(frozen=True)
class RmsProp(Optimiser):
    """s <- memory s + (1 - memory) g^2, v <- momentum v + g / (sqrt(s) + eps), w <- w - r v.

    g has decay w added. `memory` is what papers call decay. Source: Tieleman, Hinton (2012).
    """

    name: ClassVar[str] = "rmsprop"

    momentum: float = attribute(BELOW_ONE, 0.0)
    decay: float = attribute(FROM_ZERO, 0.0)
    memory: float = attribute(BELOW_ONE, 0.99)
    eps: float = attribute(FROM_ZERO, 1e-8)


@dataclass(frozen=True)
class Adam(Optimiser):
    """w <- w - r m / (sqrt(s) + eps), means m of g and s of g^2 without their bias.

    m <- beta1 m + (1 - beta1) g, s <- beta2 s + (1 - beta2) g^2; g has decay w added. Source:
    Kingma, Ba (2015), algorithm 1.
    """

    name: ClassVar[str] = "adam"

    rate: float = attribute(POSITIVE, 1e-3)
    decay: float = attribute(FROM_ZERO, 0.0)
    beta1: float = attribute(BELOW_ONE, 0.9)
    beta2: float = attribute(BELOW_ONE, 0.999)
    eps: float = attribute(FROM_ZERO, 1e-8)


@dataclass(frozen=True)
class AdamW(Optimiser):
    """Adam, w <- w - r decay w apart from its steps. Source: Loshchilov, Hutter (2019)."""

    name: ClassVar[str] = "adamw"

    rate: float = attribute(POSITIVE, 1e-3)
    decay: float = attribute(FROM_ZERO, 1e-2)
    beta1: float = attribute(BELOW_ONE, 0.9)
    beta2: float = attribute(BELOW_ONE, 0.999)
    eps: float = attribute(FROM_ZERO, 1e-8)
