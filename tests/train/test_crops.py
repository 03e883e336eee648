"""Random parts of photos."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.recipes.augmentations import RandomResizedCrop
from cnndsl.train.crops import cropped


@pytest.mark.parametrize("area", [1e-6, 1e-3])
def test_parts_have_a_pixel_at_least(area: float) -> None:
    """A small area is that of one pixel, not the whole photo."""
    pixels = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16)
    crop = RandomResizedCrop(area=(area, area), ratio=(1.0, 1.0))
    random, kind = np.random.default_rng(0), TensorType((1, 4, 4))
    image, photo = Image.fromarray(pixels), Photo(interpolation="nearest")
    seen = [np.asarray(cropped(image, kind, photo, crop, random)) for _ in range(9)]
    assert all(len(np.unique(part)) == 1 for part in seen)
    assert len({int(part[0, 0]) for part in seen}) > 1
