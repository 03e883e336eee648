"""Random changes of images [batch, channels, height, width], by each image itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cnndsl.recipes.augmentations import Augmentation, Crop, Flip, PcaColour, Shift
from cnndsl.recipes.recipe import Recipe


def augmented(x: Tensor, recipe: Recipe, colours: Tensor | None) -> Tensor:
    """Images that a recipe has changed; photos are cut out of before."""
    for item in recipe.all(Augmentation):
        if not isinstance(item, Crop):
            x = CHANGES[type(item)](item, x, colours)
    return x


def _flip(item: Flip, x: Tensor, colours: Tensor | None) -> Tensor:
    turned = torch.rand(len(x), 1, 1, 1) < item.probability
    return torch.where(turned.to(x.device), x.flip(3), x)


def _shift(item: Shift, x: Tensor, colours: Tensor | None) -> Tensor:
    height, width = x.shape[2:]
    padded = F.pad(x, (item.most,) * 4)
    places = torch.randint(2 * item.most + 1, (len(x), 2)).tolist()
    pairs = zip(padded, places, strict=True)
    return torch.stack([image[:, r : r + height, c : c + width] for image, (r, c) in pairs])


def _colour(item: PcaColour, x: Tensor, colours: Tensor | None) -> Tensor:
    assert colours is not None
    noise = torch.randn(len(x), x.shape[1], device=x.device) * item.deviation
    return x + (noise @ colours.to(x.device).T)[:, :, None, None]


CHANGES: dict[type[Augmentation], Callable[[Any, Tensor, Tensor | None], Tensor]] = {
    Flip: _flip,
    Shift: _shift,
    PcaColour: _colour,
}


def colours_of(x: Tensor) -> Tensor:
    """The principal components of the colours of images, each times its variance.

    Source: Krizhevsky et al. (2012), section 4.1.
    """
    pixels = x.movedim(1, -1).reshape(-1, x.shape[1])
    values, vectors = torch.linalg.eigh(torch.cov(pixels.T).reshape(x.shape[1], x.shape[1]))
    return vectors * values.clamp(min=0)
