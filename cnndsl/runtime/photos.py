"""Photos before they are read: which files are some, and how they become inputs.

Nothing here needs Pillow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cnndsl.diagnostics import CnnError
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.photo import Photo, changed, photo_from_json
from cnndsl.ir.types import TensorType

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
CHANNELS = (1, 3)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FOR_IMAGENET = Photo(mean=IMAGENET_MEAN, std=IMAGENET_STD)
"""How photos become the inputs of networks that do not say it."""

KEY = "photos"
"""Where the metadata of artefacts say it."""


def photos_in(folder: Path) -> list[Path]:
    """The photos in a folder and those in it, by their endings, in the order of their names.

    Hidden files, and those in hidden folders, are none. Links that lead nowhere are photos that
    cannot be read.
    """
    found = (p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS and _is_photo(p))
    return sorted(p for p in found if not any(map(_is_hidden, p.relative_to(folder).parts)))


def _is_photo(path: Path) -> bool:
    """Whether a path is a file or a link that leads nowhere; a pipe would be waited for."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def class_folders(folder: Path) -> list[Path]:
    """The folders in a folder, one for each class, in the order of their names; no hidden ones."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not _is_hidden(p.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def to_metadata(photos: Mapping[str, Photo]) -> dict[str, str]:
    """The entry of how photos become inputs, by the names of these; none if nothing is known."""
    rows = {name: photo.to_json() for name, photo in photos.items()}
    return {KEY: json.dumps(rows)} if rows else {}


def from_metadata(metadata: Mapping[str, str]) -> dict[str, Photo]:
    """The photos of `to_metadata`. Raises ValueError if the entry is broken."""
    try:
        rows = json.loads(metadata.get(KEY, "{}"))
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not isinstance(rows, dict):
        raise ValueError(f"the metadata entry {KEY} is broken")
    return {name: photo_from_json(row) for name, row in rows.items()}


def photos_of(metadata: Mapping[str, str]) -> dict[str, Photo]:
    """How photos become the inputs of an artefact, as far as it says so. Raises CnnError E0603."""
    try:
        return from_metadata(metadata)
    except ValueError:
        raise CnnError.of("E0603", f"the metadata entry {KEY} is broken") from None


def require_image(kind: TensorType) -> int:
    """The channels of an input that takes photos, 1 or 3. Raises CnnError E0604 for others."""
    if kind.rank != 2 or kind.channels not in CHANNELS:
        message = f"the input is {kind}; an image fits 1xHxW (grey) and 3xHxW (colour)"
        raise CnnError.of("E0604", message)
    return kind.channels


def chosen(stated: Photo | None, given: Mapping[str, object], kind: TensorType) -> Photo:
    """How a photo becomes an input of a type: as stated, else for ImageNet, but as is given.

    A grey photo takes the averages of three numbers. Raises CnnError: E0604 for an input that takes
    no image, E0224 for what does not suit the input.
    """
    channels = require_image(kind)
    try:
        photo = changed(stated or FOR_IMAGENET, given)
        if channels == 1:
            photo = replace(photo, mean=_average(photo.mean), std=_average(photo.std))
        return photo.fitted(kind)
    except OperatorError as error:
        raise CnnError.of("E0224", error.message, hint=error.hint) from None


def _average(numbers: Sequence[float]) -> tuple[float]:
    return (sum(numbers) / len(numbers),)
