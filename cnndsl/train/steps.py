"""Optimisers of recipes as PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from cnndsl.recipes import optimisers
from cnndsl.recipes.optimisers import Optimiser


class VelocitySgd(Optimizer):
    """v <- momentum v - decay rate w - rate g, w <- w + v.

    Source: Krizhevsky et al. (2012), section 5. Unlike in PyTorch's SGD a fall of the rate does not
    shrink the velocity.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float, weight_decay: float):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> None:
        """One step by the gradients."""
        for group in self.param_groups:
            rate, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(weight)
                velocity = state["velocity"].mul_(momentum)
                velocity.sub_(weight, alpha=decay * rate).sub_(weight.grad, alpha=rate)
                weight.add_(velocity)


def _rmsprop(item: optimisers.RmsProp, weights: Sequence[Tensor]) -> Optimizer:
    more = {"momentum": item.momentum, "weight_decay": item.decay}
    return RMSprop(weights, item.rate, item.memory, item.eps, **more)


MAKERS: dict[type[Optimiser], Callable[[Any, Sequence[Tensor]], Optimizer]] = {
    optimisers.Sgd: lambda o, w: SGD(w, o.rate, o.momentum, weight_decay=o.decay),
    optimisers.Nesterov: lambda o, w: SGD(
        w, o.rate, o.momentum, weight_decay=o.decay, nesterov=o.momentum > 0
    ),
    optimisers.Velocity: lambda o, w: VelocitySgd(w, o.rate, o.momentum, o.decay),
    optimisers.RmsProp: _rmsprop,
    optimisers.Adam: lambda o, w: Adam(w, o.rate, (o.beta1, o.beta2), o.eps, o.decay),
    optimisers.AdamW: lambda o, w: AdamW(w, o.rate, (o.beta1, o.beta2), o.eps, o.decay),
}


def optimiser_of(item: Optimiser, weights: Sequence[Tensor]) -> Optimizer:
    """What an optimiser of a recipe is in PyTorch."""
    return MAKERS[type(item)](item, weights)
