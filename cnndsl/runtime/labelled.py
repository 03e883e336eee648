"""Photos in folders by class, and arrays with labels: what training and evaluation read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.types import TensorType
from cnndsl.runtime.arrays import read_arrays
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import photos_in

MOST_CLASSES = 1_000_000
"""More than a fully connected layer can tell apart: such a label is a mistake."""


def photos_by_class(folders: Mapping[Path, int], code: str) -> tuple[list[Path], Array]:
    """The photos in folders, each with the class of its folder.

    Raises CnnError, with the code of who asks, if a folder has none.
    """
    files: list[Path] = []
    labels: list[int] = []
    for folder, label in folders.items():
        found = photos_in(folder)
        if not found:
            raise CnnError.of(code, f"{folder} has no images")
        files += found
        labels += [label] * len(found)
    return files, np.array(labels, np.int64)


def labelled_arrays(path: Path, kind: TensorType) -> tuple[Array, Array]:
    """The float32 `images` [samples, C, H, W] of an .npz file and their `labels`, from 0.

    Sizes that are open in `kind` may be any. Raises CnnError: E0603 without these arrays, E0604 for
    shapes, types and numbers that cannot be meant.
    """
    arrays = read_arrays(path)
    if not {"images", "labels"} <= arrays.keys():
        raise CnnError.of("E0603", f"{path} does not hold arrays `images` and `labels`")
    images, labels = arrays["images"], arrays["labels"]
    if not _fits(images, kind) or labels.shape != images.shape[:1]:
        shown = ["x".join(map(str, array.shape)) for array in (images, labels)]
        message = f"{path}: images are {shown[0]} and labels {shown[1]}, the input is {kind}"
        hint = f"images [samples, {', '.join(map(str, kind.shape))}], and a label for each"
        raise CnnError.of("E0604", message, hint=hint)
    if not np.issubdtype(labels.dtype, np.integer):
        raise CnnError.of("E0604", f"{path}: labels are {labels.dtype}, not whole numbers from 0")
    for label in (int(labels.min(initial=0)), int(labels.max(initial=0))):
        if not 0 <= label < MOST_CLASSES:
            message = f"{path}: a label is {label}, they are from 0 to {MOST_CLASSES - 1:,}"
            raise CnnError.of("E0604", message)
    with np.errstate(over="ignore"):
        images = images.astype(np.float32)
    if not np.isfinite(images).all():
        message = f"{path}: images hold numbers that are not finite in float32"
        raise CnnError.of("E0604", message)
    return images, labels.astype(np.int64)


def _fits(images: Array, kind: TensorType) -> bool:
    sizes = zip(images.shape[1:], kind.shape, strict=False)
    same = all(size == known for size, known in sizes if isinstance(known, int))
    return images.ndim == len(kind.shape) + 1 and same
