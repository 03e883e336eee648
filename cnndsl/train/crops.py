"""What part of a photo becomes the input in training.

This module imports Pillow; import it only where an image is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.recipes.augmentations import Crop, RandomCrop, RandomResizedCrop
from cnndsl.runtime.image import FILTERS, covering

TRIES = 10
"""Random parts that are tried before the whole of a photo is taken."""


def cropped(
    image: Image.Image, kind: TensorType, photo: Photo, crop: Crop, random: np.random.Generator
) -> Image.Image:
    """The part of an image that becomes an input, in the size of that."""
    return CROPS[type(crop)](crop, image, kind, photo, random)


def _scaled(
    crop: RandomCrop, image: Image.Image, kind: TensorType, photo: Photo, random: Any
) -> Image.Image:
    _, height, width = kind.sizes
    cover = int(random.integers(crop.scales[0], crop.scales[1] + 1))
    full = covering(image, height, width, photo, cover)
    left = int(random.integers(full.width - width + 1))
    top = int(random.integers(full.height - height + 1))
    return full.crop((left, top, left + width, top + height))


def _part(
    crop: RandomResizedCrop, image: Image.Image, kind: TensorType, photo: Photo, random: Any
) -> Image.Image:
    _, height, width = kind.sizes
    box = _box(crop, image.width, image.height, random)
    return image.resize((width, height), FILTERS[photo.interpolation], box=box)


def _box(
    crop: RandomResizedCrop, width: int, height: int, random: Any
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a random part that fits, else of the whole."""
    least, most = map(math.log, crop.ratio)
    for _ in range(TRIES):
        area = width * height * random.uniform(*crop.area)
        ratio = math.exp(random.uniform(least, most))
        w, h = (max(1, round(math.sqrt(a))) for a in (area * ratio, area / ratio))
        if w <= width and h <= height:
            left, top = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
            return left, top, left + w, top + h
    return 0, 0, width, height


CROPS: dict[type[Crop], Callable[..., Image.Image]] = {
    RandomCrop: _scaled,
    RandomResizedCrop: _part,
}
