"""Labelled images to train with: scikit-learn's digits, folders by class, arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.recipes.augmentations import Crop
from cnndsl.runtime.labelled import labelled_arrays, photos_by_class
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import class_folders

HELD_OUT = 0.2
"""The share of samples that is held out where the data do not say which."""

SPLIT_SEED = 0


@dataclass(frozen=True)
class Images:
    """Samples with their classes: arrays [C, H, W], or files that are read when they are needed."""

    items: Array | Sequence[Path]
    labels: Array
    type: TensorType
    photo: Photo | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def are_photos(self) -> bool:
        """Whether samples are files, of any size."""
        return not isinstance(self.items, np.ndarray)

    def batch(
        self, indices: Array, crop: Crop | None = None, random: Any = None
    ) -> tuple[Array, Array]:
        """Some samples as float32 [batch, C, H, W], and their classes.

        With a crop photos are cut out anywhere, by numpy's `random` numbers.
        """
        labels = self.labels[indices]
        if isinstance(self.items, np.ndarray):
            return self.items[indices], labels
        from cnndsl.runtime.image import fitted, open_image, pixels
        from cnndsl.runtime.photos import chosen
        from cnndsl.train.crops import cropped

        how = chosen(self.photo, {}, self.type)
        images = (open_image(self.items[index], self.type) for index in indices)
        found = [
            cropped(image, self.type, how, crop, random) if crop else fitted(image, self.type, how)
            for image in images
        ]
        return pixels(found, how), labels


@dataclass(frozen=True)
class Data:
    """What is trained with, what is held out, and the names of the classes."""

    train: Images
    held_out: Images
    classes: tuple[str, ...]


def read_data(spec: str, input_type: TensorType, photo: Photo | None = None) -> Data:
    """The data that a user names, as images for an input.

    `digits` are scikit-learn's, from 0 to 1, resized to the input. An .npz file has `images`
    [samples, C, H, W] and `labels`. A folder has a folder of images for each class, or such folders
    in `train` and `val`; they become inputs as `photo` says. Where
    nothing else is said, a fifth is held out, always the same. Raises CnnError: E0601, E0603,
    E0604, E0760.
    """
    if input_type.rank != 2 or input_type.is_open:
        raise CnnError.of(
            "E0604", f"training takes images of known size, the input is {input_type}"
        )
    if spec == "digits":
        return _digits(input_type)
    path = Path(spec)
    if path.suffix == ".npz":
        return _arrays(path, input_type)
    if not path.is_dir():
        hint = "digits, an .npz file, or a folder with a folder of images for each class"
        problem = "it is no folder" if path.exists() else "there is no such folder"
        raise CnnError.of("E0601", f"cannot read {path}: {problem}", hint=hint)
    return _folder(path, input_type, photo)


def _digits(input_type: TensorType) -> Data:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        hint = "pip install 'cnndsl[train]'"
        raise CnnError.of("E0760", "scikit-learn is not installed", hint=hint) from None
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8).astype(np.float32) / 16
    return _split(_resized(images, input_type), labels, tuple("0123456789"), input_type)


def _resized(images: Array, input_type: TensorType) -> Array:
    """Images [N, 1, h, w] in the size of an input, once for each of its channels; bilinear."""
    from PIL import Image

    channels, height, width = input_type.sizes
    if images.shape[2:] != (height, width):
        size = (width, height)
        bilinear = Image.Resampling.BILINEAR
        made = [np.asarray(Image.fromarray(image[0]).resize(size, bilinear)) for image in images]
        images = np.stack(made)[:, None]
    return np.repeat(images, channels, 1)


def _arrays(path: Path, input_type: TensorType) -> Data:
    images, labels = labelled_arrays(path, input_type)
    names = tuple(map(str, range(int(labels.max(initial=0)) + 1)))
    return _split(images, labels, names, input_type)


def _folder(path: Path, input_type: TensorType, photo: Photo | None) -> Data:
    if (path / "train").is_dir():
        held = next((path / n for n in ("val", "test") if (path / n).is_dir()), None)
        if held is None:
            raise CnnError.of("E0760", f"{path} has a folder `train`, but none `val` or `test`")
        classes = _classes(path / "train")
        unknown = [p.name for p in class_folders(held) if p.name not in classes]
        if unknown:
            message = f"{held} has a class {unknown[0]!r}, {path / 'train'} has not"
            raise CnnError.of("E0760", message)
        parts = [_files(folder, classes) for folder in (path / "train", held)]
        made = [Images(files, labels, input_type, photo) for files, labels in parts]
        return Data(made[0], made[1], classes)
    classes = _classes(path)
    files, labels = _files(path, classes)
    return _split(files, labels, classes, input_type, photo)


def _classes(path: Path) -> tuple[str, ...]:
    classes = tuple(folder.name for folder in class_folders(path))
    if len(classes) < 2:
        message = f"{path} has no folders of images, one for each of two classes or more"
        raise CnnError.of("E0760", message)
    return classes


def _files(path: Path, classes: Sequence[str]) -> tuple[list[Path], Array]:
    return photos_by_class({path / name: i for i, name in enumerate(classes)}, "E0760")


def _split(
    items: Any,
    labels: Array,
    classes: tuple[str, ...],
    input_type: TensorType,
    photo: Photo | None = None,
) -> Data:
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    count = len(labels) - round(len(labels) * HELD_OUT)
    if not 0 < count < len(labels):
        raise CnnError.of("E0760", f"{len(labels)} samples are too few to hold some out")

    def part(indices: Array) -> Images:
        some = items[indices] if isinstance(items, np.ndarray) else [items[i] for i in indices]
        return Images(some, labels[indices], input_type, photo)

    return Data(part(order[:count]), part(order[count:]), classes)
