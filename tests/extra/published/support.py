"""Modules of PyTorch: what they give, and numbers in them that are not neutral."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def outputs(model: nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    """By name, or the only one."""
    with torch.no_grad():
        found = model(x)
    if not isinstance(found, dict):
        found = {"": found}
    elif "out" in found:
        found = {"": found["out"]}
    return {name: array.numpy() for name, array in found.items()}


def perturb(model: nn.Module, x: torch.Tensor) -> None:
    """Factors, shifts and statistics away from ones and zeros.

    A variance is about the mean square that comes, of the channel or of all channels, whichever is
    larger: what is small in one channel is a small difference of large sums, whose rounding errors
    would grow from layer to layer, PyTorch's own to 2e-5 in 60 layers.
    """
    random = torch.Generator().manual_seed(1)

    def uniform(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return torch.rand(like.shape, generator=random).to(like) * (high - low) + low

    def settle(norm: nn.Module, operands: tuple[torch.Tensor, ...]) -> None:
        square = operands[0].square().mean([0, *range(2, operands[0].ndim)])
        noise = torch.randn(square.shape, generator=random).to(square)
        square = square.clamp(min=square.mean())
        norm.running_var.copy_(square * uniform(square, 0.75, 1.25))
        norm.running_mean.copy_(0.2 * square.sqrt() * noise)

    with torch.no_grad():
        for name, values in model.named_parameters():
            if name.endswith("bias"):
                values.copy_(uniform(values, -0.3, 0.3))
            elif values.ndim == 1 or name.endswith("layer_scale"):
                values.copy_(uniform(values, 0.5, 1.5))
        norms = [
            each for each in model.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)
        ]
        hooks = [norm.register_forward_pre_hook(settle) for norm in norms]
        model(x)
        for hook in hooks:
            hook.remove()
