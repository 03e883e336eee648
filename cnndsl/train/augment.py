"""Random changes of images [batch, channels, height, width]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cnndsl.train.recipe import Recipe


def augmented(x: Tensor, recipe: Recipe, colours: Tensor | None) -> Tensor:
    """Flipped, shifted and coloured, each image by itself, as a recipe says."""
    if recipe.flip:
        turned = torch.rand(len(x), 1, 1, 1) < recipe.flip
        x = torch.where(turned.to(x.device), x.flip(3), x)
    if recipe.shift:
        x = _shifted(x, recipe.shift)
    if colours is not None:
        noise = torch.randn(len(x), x.shape[1], device=x.device) * recipe.colour
        x = x + (noise @ colours.to(x.device).T)[:, :, None, None]
    return x


def _shifted(x: Tensor, most: int) -> Tensor:
    height, width = x.shape[2:]
    padded = F.pad(x, (most, most, most, most))
    places = torch.randint(2 * most + 1, (len(x), 2)).tolist()
    pairs = zip(padded, places, strict=True)
    return torch.stack([image[:, r : r + height, c : c + width] for image, (r, c) in pairs])


def colours_of(x: Tensor) -> Tensor:
    """The principal components of the colours of images, each times its variance.

    Source: Krizhevsky et al. (2012), section 4.1.
    """
    pixels = x.movedim(1, -1).reshape(-1, x.shape[1])
    values, vectors = torch.linalg.eigh(torch.cov(pixels.T).reshape(x.shape[1], x.shape[1]))
    return vectors * values.clamp(min=0)
