"""Normalisation, scaling, values, radial basis functions, and what acts in training only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def per_channel(values: Tensor, x: Tensor) -> Tensor:
    """A vector [channels] in a form that broadcasts over [batch, channels, *positions]."""
    return values.reshape(-1, *(1,) * (x.dim() - 2))


class Parts(nn.Module):
    """Modules by name that are called one by one."""

    def __init__(self, **parts: nn.Module):
        super().__init__()
        self._modules.update(parts)

    def __getitem__(self, name: str) -> nn.Module:
        return self._modules[name]


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels at each position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class RmsNorm(nn.Module):
    """Division by the root mean square of the channels (Zhang and Sennrich 2019)."""

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x / torch.sqrt(x.square().mean(1, keepdim=True) + self.eps)
        return x if self.weight is None else x * per_channel(self.weight, x)


class L2Normalise(nn.Module):
    """Division by the length of the channels, times a learned weight (Liu et al. 2015)."""

    def __init__(self, channels: int, eps: float = 1e-12):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, eps=self.eps) * per_channel(self.weight, x)


class Affine(nn.Module):
    """Learned scale and shift of each channel."""

    def __init__(self, channels: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        scaled = x * per_channel(self.weight, x)
        return scaled if self.bias is None else scaled + per_channel(self.bias, x)


class Scale(nn.Module):
    """Constant scale and shift, of all channels or of each."""

    def __init__(self, factor: Any, shift: Any = 0.0):
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor), persistent=False)
        self.register_buffer("shift", torch.tensor(shift), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * per_channel(self.factor, x) + per_channel(self.shift, x)


class LearnedValue(nn.Module):
    """A value of its own, the same for every sample."""

    def __init__(self, shape: Sequence[int], init: str = "zeros", learned: bool = True):
        super().__init__()
        value = torch.ones(*shape) if init == "ones" else torch.zeros(*shape)
        value = torch.randn(*shape) * 0.02 if init == "normal" else value
        if learned:
            self.value = nn.Parameter(value)
        else:
            self.register_buffer("value", value)

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(len(x), *self.value.shape)


class ConstantValue(nn.Module):
    """Given numbers, the same for every sample."""

    def __init__(self, values: Any):
        super().__init__()
        self.register_buffer("value", torch.tensor(values), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(len(x), *self.value.shape)


class RadialBasis(nn.Module):
    """Squared distances to fixed centres of -1 and +1 (LeCun et al. 1998)."""

    def __init__(self, inputs: int, units: int):
        super().__init__()
        self.register_buffer("centres", torch.randint(2, (units, inputs)) * 2.0 - 1)

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None, :] - self.centres).square().sum(2)


class StochasticDepth(nn.Module):
    """Zero with probability 1 - survival in training, survival * x at inference.

    Drawn once for each mini-batch (Huang et al. 2016, section 3), or for each sample.
    """

    def __init__(self, survival: float, per_sample: bool = False):
        super().__init__()
        self.survival, self.per_sample = survival, per_sample

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.survival * x
        draws = len(x) if self.per_sample else 1
        kept = torch.rand(draws, device=x.device) < self.survival
        return x * kept.to(x.dtype).reshape(-1, *(1,) * (x.dim() - 1))


class DropPath(nn.Module):
    """Samples are zeroed with probability `rate` in training, the others grow by 1 / (1 - rate)."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), device=x.device) >= self.rate
        kept = kept.to(x.dtype).reshape(-1, *(1,) * (x.dim() - 1))
        return x * kept / (1 - self.rate) if self.rate < 1 else x * 0
