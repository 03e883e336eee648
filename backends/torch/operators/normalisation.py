"""Normalisation, and scaling of channels by learned or constant numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.torch.code import Layer, Slot, alike, call, expression, module
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import (
    Affine,
    BatchNorm,
    ConstantValue,
    GroupNorm,
    InstanceNorm,
    L2Normalise,
    LayerNorm,
    LearnedValue,
    LocalResponseNorm,
    RmsNorm,
    Scale,
)
from cnndsl.ir.part import Part


def _channels(part: Part[Any]) -> Slot:
    return Slot("channels", part.inputs[0].channels)


def batch_norm(part: Part[BatchNorm]) -> Layer:
    """Batch statistics in training, and running ones of momentum 0.1."""
    rank = max(part.inputs[0].rank, 1)
    made = call(f"nn.BatchNorm{rank}d", _channels(part), eps=(part.op.eps, 1e-5))
    return module(made)


def local_response_norm(part: Part[LocalResponseNorm]) -> Layer:
    """PyTorch divides alpha by the size."""
    op = part.op
    values = {"size": op.size, "alpha": op.alpha, "beta": op.beta, "k": op.k}
    template = "F.local_response_norm({x}, {size}, {size} * {alpha}, {beta}, {k})"
    if part.inputs[0].rank == 0:
        return expression(template.replace("{x}", "{x.}.unsqueeze(2)") + ".squeeze(2)", **values)
    return expression(template, **values)


def layer_norm(part: Part[LayerNorm]) -> Layer:
    """Over the channels, which PyTorch has last."""
    name = "nn.LayerNorm" if part.inputs[0].rank == 0 else "ChannelNorm"
    options = {"eps": (part.op.eps, 1e-5), "elementwise_affine": (part.op.affine, True)}
    return module(call(name, _channels(part), **options))


def instance_norm(part: Part[InstanceNorm]) -> Layer:
    """Each channel as a group of its own, which maps of one position have too."""
    channels = part.inputs[0].channels
    return _groups(part, channels, part.op.eps, part.op.affine)


def group_norm(part: Part[GroupNorm]) -> Layer:
    """Runs of channels."""
    return _groups(part, part.op.groups, part.op.eps, part.op.affine)


def _groups(part: Part[Any], groups: int, eps: float, affine: bool) -> Layer:
    options = {"eps": (eps, 1e-5), "affine": (affine, True)}
    return module(call("nn.GroupNorm", Slot("groups", groups), _channels(part), **options))


def rms_norm(part: Part[RmsNorm]) -> Layer:
    """Over the channels."""
    return module(
        call("RmsNorm", _channels(part), eps=(part.op.eps, 1e-5), affine=(part.op.affine, True))
    )


def l2_normalise(part: Part[L2Normalise]) -> Layer:
    """PyTorch's function, or a module with a weight."""
    eps = part.op.eps
    if part.op.scale:
        return module(call("L2Normalise", _channels(part), eps=(eps, 1e-12)))
    return expression("F.normalize({x}, eps={eps})", eps=eps)


def affine(part: Part[Affine]) -> Layer:
    """Learned scale and shift."""
    return module(call("Affine", _channels(part), bias=(part.op.bias, True)))


def scale(part: Part[Scale]) -> Layer:
    """Constant scale and shift."""
    factor, shift = alike(part.op.factor), alike(part.op.shift)
    return module(call("Scale", Slot("factor", factor), shift=(shift, 0.0)))


def learned_value(part: Part[LearnedValue]) -> Layer:
    """Once for each sample."""
    op = part.op
    options = {"init": (op.init, "zeros"), "learned": (op.learned, True)}
    return module(call("LearnedValue", Slot("shape", op.shape), **options))


def constant_value(part: Part[ConstantValue]) -> Layer:
    """Once for each sample."""
    return module(call("ConstantValue", Slot("values", part.op.values)))


WRITERS: dict[type[Operator], Callable[[Part[Any]], Layer]] = {
    BatchNorm: batch_norm,
    LocalResponseNorm: local_response_norm,
    LayerNorm: layer_norm,
    InstanceNorm: instance_norm,
    GroupNorm: group_norm,
    RmsNorm: rms_norm,
    L2Normalise: l2_normalise,
    Affine: affine,
    Scale: scale,
    LearnedValue: learned_value,
    ConstantValue: constant_value,
}
