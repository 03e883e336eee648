"""Augmentation: random changes of images, each image by itself, in the order of the text.

What is done to every photo, trained with or not, is the `photo(…)` of the input: mean, deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.attributes import COUNT, PROBABILITY, attribute
from cnndsl.recipes.items import Item
from cnndsl.recipes.kinds import FROM_ZERO, PIXELS, RANGE, SHARES


class Augmentation(Item):
    """A random change of images."""

    slot: ClassVar[str] = "augmentation"
    several: ClassVar[bool] = True


class Crop(Augmentation):
    """What part of a photo becomes the input, in the place of its centre."""


@dataclass(frozen=True)
class RandomCrop(Crop):
    """Photos are scaled to a shorter side from `least` to `most` pixels, and cut out anywhere.

    `random_crop([256, 480])` jitters the scale as Simonyan, Zisserman (2014), section 3.1, do, and
    `random_crop(256)` is the crop of Krizhevsky et al. (2012), section 4.1.
    """

    name: ClassVar[str] = "random_crop"

    scales: tuple[int, int] = attribute(PIXELS)


@dataclass(frozen=True)
class RandomResizedCrop(Crop):
    """A random part of the area of photos, of a random ratio of width to height, as the input.

    Its logarithm is uniform. Source: Szegedy et al. (2015), section 6.
    """

    name: ClassVar[str] = "random_resized_crop"

    area: tuple[float, float] = attribute(SHARES, (0.08, 1.0))
    ratio: tuple[float, float] = attribute(RANGE, (3 / 4, 4 / 3))


@dataclass(frozen=True)
class Flip(Augmentation):
    """Left and right change places, with a probability."""

    name: ClassVar[str] = "flip"

    probability: float = attribute(PROBABILITY, 0.5)


@dataclass(frozen=True)
class Shift(Augmentation):
    """Shifts by up to `most` positions each way, filled with zeros.

    The same as padding and a crop of the old size. Source: Lee et al. (2015), as He et al. (2015),
    section 4.2, use it.
    """

    name: ClassVar[str] = "shift"

    most: int = attribute(COUNT, 4)


@dataclass(frozen=True)
class PcaColour(Augmentation):
    """The principal components of the colours, each times its variance and a random number.

    The numbers are normal with a deviation, one for each component and image. Source: Krizhevsky
    et al. (2012), section 4.1.
    """

    name: ClassVar[str] = "pca_colour"

    deviation: float = attribute(FROM_ZERO, 0.1)
