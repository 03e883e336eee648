"""Photos as network inputs.

This module imports Pillow; import it only where an image is read.
"""

from __future__ import annotations

import stat
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnndsl.diagnostics import CnnError
from cnndsl.ir.photo import INTERPOLATIONS, Photo
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import chosen, require_image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Raster formats that Pillow decodes in this process (EPS, for one, starts Ghostscript)."""

MODES = {1: "L", 3: "RGB"}

FILTERS = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}


def load_image(path: str | Path, kind: TensorType, photo: Photo | None = None) -> Array:
    """A photo as a batch of one, [1, C, H, W] float32, for an input of a type.

    It is turned upright (EXIF), put on white where it is transparent, made grey for C = 1, and
    then becomes the input as `photo` says, by default as for ImageNet: bilinear, antialiased, the
    centre of 224 of 256 pixels (Krizhevsky et al. 2012, section 2). An open H or W keeps the size
    of the photo.

    Raises CnnError: E0606 if the file is missing, damaged, too large or not an image, E0604 if
    the input takes no image, E0224 if the photo does not suit it.
    """
    how = chosen(photo, {}, kind)
    image = open_image(path, kind)
    return pixels([fitted(image, kind, how)], how)


def open_image(path: str | Path, kind: TensorType) -> Image.Image:
    """A photo, upright, in the channels of an input. Raises CnnError (E0604, E0606)."""
    return _open(Path(path), MODES[require_image(kind)])


def fitted(image: Image.Image, kind: TensorType, photo: Photo) -> Image.Image:
    """The part of an image that becomes an input, in the size of that. Raises CnnError E0606."""
    if kind.is_open:
        return image if photo.resize is None else _shorter_side(image, photo)
    _, height, width = kind.sizes
    full = covering(image, height, width, photo, photo.cover(height))
    left, top = round((full.width - width) / 2), round((full.height - height) / 2)
    return full.crop((left, top, left + width, top + height))


def covering(image: Image.Image, height: int, width: int, photo: Photo, cover: int) -> Image.Image:
    """An image scaled to just cover `cover` pixels of height, and a width in proportion.

    The proportion is that of an input of `height` and `width`. Raises CnnError E0606.
    """
    scale = max(cover / image.height, round(width * cover / height) / image.width)
    return _scaled(image, round(image.width * scale), round(image.height * scale), photo)


def pixels(images: Sequence[Image.Image], photo: Photo) -> Array:
    """Images of one size as [images, C, H, W] float32, normalised."""
    values = np.stack([np.asarray(image, np.float32) for image in images])
    values = values.reshape(*values.shape[:3], -1) / np.float32(255 / photo.range)
    if photo.order == "bgr":
        values = values[..., ::-1]
    mean, std = (np.asarray(numbers, np.float32) for numbers in (photo.mean, photo.std))
    return np.ascontiguousarray(((values - mean) / std).transpose(0, 3, 1, 2))


def _open(path: Path, mode: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if not stat.S_ISREG(path.stat().st_mode):
                raise OSError("it is no regular file")
            with Image.open(path, formats=FORMATS) as file:
                return _convert(ImageOps.exif_transpose(file), mode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem = f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    except UnidentifiedImageError:
        problem = f"it is none of {', '.join(FORMATS)}"
    except OSError as error:
        problem = error.strerror or str(error)
    except Exception:  # on damaged files, decoders raise anything at all
        problem = "it cannot be decoded"
    raise CnnError.of("E0606", f"cannot read the image {path}: {problem}")


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("I", "F"):
        raise OSError("32-bit pixels have no agreed range")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB").convert(mode)


def _shorter_side(image: Image.Image, photo: Photo) -> Image.Image:
    """An image whose shorter side has the pixels that a photo is resized to."""
    assert photo.resize is not None
    scale = photo.resize / min(image.size)
    return _scaled(image, round(image.width * scale), round(image.height * scale), photo)


def _scaled(image: Image.Image, width: int, height: int, photo: Photo) -> Image.Image:
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        size = f"an image of {image.width}x{image.height} pixels"
        raise CnnError.of("E0606", f"{size} is too narrow: it would become {width}x{height}")
    return image.resize((width, height), FILTERS[photo.interpolation])
