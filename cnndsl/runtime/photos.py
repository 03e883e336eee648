"""Photos before they are read: which files are some, and what their pixels become.

Nothing here needs Pillow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
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


def photos_in(folder: Path) -> list[Path]:
    """The photos in a folder and those in it, by their endings, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
