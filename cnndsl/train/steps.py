"""Optimisers, and the learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from cnndsl.train.recipe import Recipe


class VelocitySgd(torch.optim.Optimizer):
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


def optimiser_of(recipe: Recipe, parameters: list[Tensor]) -> torch.optim.Optimizer:
    """The optimiser of a recipe."""
    rate, decay, momentum = recipe.rate, recipe.decay, recipe.momentum
    match recipe.optimiser:
        case "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=decay)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, rate, momentum=momentum, weight_decay=decay)
        case "velocity":
            return VelocitySgd(parameters, rate, momentum, decay)
    nesterov = recipe.optimiser == "nesterov"
    return torch.optim.SGD(parameters, rate, momentum, weight_decay=decay, nesterov=nesterov)


def rate_at(recipe: Recipe, epoch: float) -> float:
    """The learning rate at a time in epochs."""
    if epoch < recipe.warmup:
        return recipe.rate * epoch / recipe.warmup
    match recipe.schedule:
        case "step":
            return recipe.rate * math.pow(recipe.factor, epoch // recipe.every)
        case "exponential":
            return recipe.rate * math.pow(recipe.factor, epoch)
        case "cosine":
            share = (epoch - recipe.warmup) / max(recipe.epochs - recipe.warmup, 1e-9)
            return recipe.rate * (1 + math.cos(math.pi * min(share, 1))) / 2
    return recipe.rate
