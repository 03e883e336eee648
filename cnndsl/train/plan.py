"""What is asked for besides the network, the data and the recipe, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnndsl.runtime.options import Progress, silent


@dataclass(frozen=True)
class Epoch:
    """What was measured of one epoch: losses, held-out accuracy from 0 to 1, rate, seconds."""

    epoch: int
    loss: float
    held_out_loss: float
    accuracy: float
    rate: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What is asked for besides the network, the data and the recipe.

    The best weights go to `output`, a checkpoint after each epoch beside it; with `resume` training
    goes on from there. It ends early after `patience` epochs without a better accuracy. `report` is
    told of each epoch, and how many there are at most. With `weights` to start from, a recipe's
    initialisers do nothing; with `keep_zeros` those of their kernels that are zero stay so, as in
    pruned ones. `recompute` is that of `cnndsl.gradients`, for native code alone.
    """

    output: Path
    seed: int = 0
    weights: Any = None
    keep_zeros: bool = False
    resume: bool = False
    patience: int | None = None
    device: str = "auto"
    threads: int | None = None
    recompute: str | int | None = None
    report: Callable[[Epoch, int], None] = lambda epoch, epochs: None
    progress: Progress = silent
