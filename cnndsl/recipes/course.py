"""Course: how long training takes, in steps of what size and precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import COUNT, POSITIVE, attribute, choice
from cnndsl.recipes.items import Item
from cnndsl.recipes.kinds import BELOW_ONE


class Length(Item):
    """How long training takes."""

    slot: ClassVar[str] = "length"

    def epochs(self, steps: int) -> int:
        """Passes over the data, of so many steps each."""
        raise NotImplementedError


@dataclass(frozen=True)
class Epochs(Length):
    """Passes over the data."""

    name: ClassVar[str] = "epochs"

    count: int = attribute(COUNT, 20)

    def epochs(self, steps: int) -> int:
        """As many as it says."""
        return self.count


@dataclass(frozen=True)
class Steps(Length):
    """Steps, the last epoch being done whole."""

    name: ClassVar[str] = "steps"

    count: int = attribute(COUNT)

    def epochs(self, steps: int) -> int:
        """As many as have these steps."""
        return -(-self.count // steps)


@dataclass(frozen=True)
class Batch(Item):
    """Samples of a step, on all processes together."""

    name: ClassVar[str] = "batch"
    slot: ClassVar[str] = "batch"

    samples: int = attribute(COUNT, 32)


@dataclass(frozen=True)
class Clip(Item):
    """Gradients whose norm, taken over all of them, is larger are scaled down to it.

    Source: Pascanu et al. (2013), algorithm 1.
    """

    name: ClassVar[str] = "clip"
    slot: ClassVar[str] = "clip"

    norm: float = attribute(POSITIVE, 1.0)


@dataclass(frozen=True)
class Average(Item):
    """The exponential moving average of weights, a <- decay a + (1 - decay) w, is what is kept."""

    name: ClassVar[str] = "average"
    slot: ClassVar[str] = "average"

    decay: float = attribute(BELOW_ONE, 0.999)


@dataclass(frozen=True)
class Precision(Item):
    """Mixed precision: products in 16 bits, weights in 32. f16 scales the loss on GPUs.

    Source: Micikevicius et al. (2018).
    """

    name: ClassVar[str] = "precision"
    slot: ClassVar[str] = "precision"

    format: str = attribute(choice("f32", "bf16", "f16"), "f32")
