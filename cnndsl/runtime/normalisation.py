"""How the pixels of photos become the numbers that a network takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Normalisation:
    """(value - mean) / std of values from 0 to 1, one number or one for each channel."""

    mean: Sequence[float] = IMAGENET_MEAN
    std: Sequence[float] = IMAGENET_STD

    @classmethod
    def of(cls, metadata: Mapping[str, str], name: str) -> Normalisation:
        """For an input of an artefact: none if the network normalises it, else that of ImageNet."""
        whites = dict(item.split("=") for item in metadata.get("white", "").split(",") if item)
        return cls((0.0,), (1 / float(whites[name]),)) if name in whites else FOR_IMAGENET


FOR_IMAGENET = Normalisation()
