"""A small network with its weights, and the same written out by hand in float64."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import cnndsl

CLASSES = 3
SIDE, COVER = 8, 10
TEXT = """\
network small {
    input image [3, 8, 8] photo(crop=0.8, mean=0.4, std=0.3)
    conv(4, 3, pad=valid) -> relu -> maxpool(2) -> fc(6) -> relu -> fc(3) -> softmax
}
"""

Array = np.ndarray[Any, Any]


def weights(seed: int = 0) -> dict[str, Array]:
    """Random weights by name."""
    random = np.random.default_rng(seed)
    shapes = {
        "conv1.weight": (4, 3, 3, 3), "conv1.bias": (4,),
        "fc1.weight": (6, 36), "fc1.bias": (6,), "fc2.weight": (3, 6), "fc2.bias": (3,),
    }  # fmt: skip
    drawn = {n: random.normal(0, 0.5, shape).astype(np.float32) for n, shape in shapes.items()}
    return {n: array if array.ndim > 1 else array / 10 for n, array in drawn.items()}


def module(seed: int = 0, target: str = "reference", text: str = TEXT) -> Any:
    """The network, compiled with those weights."""
    return cnndsl.compile(text, target, weights=weights(seed))


def scores(crop: Array, seed: int = 0) -> Array:
    """What the last layer makes of one crop [3, 8, 8]."""
    w = {name: array.astype(np.float64) for name, array in weights(seed).items()}
    maps = np.zeros((4, 6, 6))
    for f, y, x in np.ndindex(4, 6, 6):
        window = crop[:, y : y + 3, x : x + 3]
        maps[f, y, x] = (window * w["conv1.weight"][f]).sum() + w["conv1.bias"][f]
    pooled = np.zeros((4, 3, 3))
    for f, y, x in np.ndindex(4, 3, 3):
        pooled[f, y, x] = max(0, maps[f, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].max())
    hidden = np.maximum(w["fc1.weight"] @ pooled.ravel() + w["fc1.bias"], 0)
    result: Array = w["fc2.weight"] @ hidden + w["fc2.bias"]
    return result


def softmax(numbers: Array) -> Array:
    """exp(x) / sum exp(x)."""
    powers = np.exp(numbers - numbers.max())
    shares: Array = powers / powers.sum()
    return shares


def normal(pixels: Array) -> Array:
    """Pixels [H, W, 3] as the network takes them, [3, H, W]."""
    return (pixels.transpose(2, 0, 1) / 255 - 0.4) / 0.3


def windows(image: Array, step: int = 2) -> Iterator[Array]:
    """All crops of an image [3, H, W] whose corners are so many pixels apart."""
    for y in range(0, image.shape[1] - SIDE + 1, step):
        for x in range(0, image.shape[2] - SIDE + 1, step):
            yield image[:, y : y + SIDE, x : x + SIDE]


def ten(image: Array) -> Iterator[Array]:
    """Corners, centre, and all mirrored, of an image as large as the enlarged input."""
    ends = (0, COVER - SIDE)
    for y, x in [*((y, x) for y in ends for x in ends), (1, 1)]:
        crop = image[:, y : y + SIDE, x : x + SIDE]
        yield crop
        yield crop[:, :, ::-1]


def photos(folder: Path, sizes: list[tuple[int, int]], per_class: int = 3) -> list[Array]:
    """Photos of noise in a folder by class, and their pixels in the order of their names."""
    random = np.random.default_rng(5)
    found = []
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for index in range(per_class):
            size = sizes[len(found) % len(sizes)]
            pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{index}.png")
            found.append(pixels)
    return found
