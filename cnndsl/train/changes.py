"""Random changes of images [batch, channels, height, width], by each image itself, in numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnndsl.recipes.augmentations import Augmentation, Crop, Flip, PcaColour, Shift
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array

Random = np.random.Generator


def changed(x: Array, recipe: Recipe, random: Random, colours: Array | None) -> Array:
    """Images that a recipe has changed; photos are cut out of before."""
    for item in recipe.all(Augmentation):
        if not isinstance(item, Crop):
            x = CHANGES[type(item)](item, x, random, colours)
    return x


def _flip(item: Flip, x: Array, random: Random, colours: Array | None) -> Array:
    turned = random.random(len(x)) < item.probability
    return np.where(turned[:, None, None, None], x[..., ::-1], x)


def _shift(item: Shift, x: Array, random: Random, colours: Array | None) -> Array:
    height, width = x.shape[2:]
    sides = (item.most, item.most)
    padded = np.pad(x, ((0, 0), (0, 0), sides, sides))
    places = random.integers(2 * item.most + 1, size=(len(x), 2))
    pairs = zip(padded, places, strict=True)
    return np.stack([image[:, r : r + height, c : c + width] for image, (r, c) in pairs])


def _colour(item: PcaColour, x: Array, random: Random, colours: Array | None) -> Array:
    assert colours is not None
    noise = random.standard_normal(x.shape[:2]) * item.deviation
    return (x + (noise @ colours.T)[:, :, None, None]).astype(x.dtype)


CHANGES: dict[type[Augmentation], Callable[[Any, Array, Random, Array | None], Array]] = {
    Flip: _flip,
    Shift: _shift,
    PcaColour: _colour,
}


def colours_of(x: Array) -> Array:
    """The principal components of the colours of images, each times its variance.

    Source: Krizhevsky et al. (2012), section 4.1.
    """
    pixels = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    values, vectors = np.linalg.eigh(np.cov(pixels.T).reshape(x.shape[1], x.shape[1]))
    return np.asarray(vectors * values.clip(min=0))
