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
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import IMAGENET_MEAN, IMAGENET_STD

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Raster formats that Pillow decodes in this process (EPS, for one, starts Ghostscript)."""

MODES = {1: "L", 3: "RGB"}


def load_image(
    path: str | Path,
    input_type: TensorType,
    *,
    resize: int | None = None,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Array:
    """A photo as a batch of one, [1, C, H, W] float32, for an input of the given type.

    The photo is turned upright (EXIF), put on white where it is transparent, and made grey for
    C = 1. For a square input its shorter side is scaled (bilinear, antialiased) to `resize`, by
    default round(H * 256 / 224), and the centre is cropped (Krizhevsky et al. 2012, section 2);
    for H unlike W the photo is scaled to just cover the input enlarged in that proportion. An
    open H or W keeps the size of the photo. Values from 0 to 1 are normalised to
    (value - mean) / std, one number or one for each channel; a grey photo takes their averages.

    Raises CnnError: E0606 if the file is missing, damaged, too large or not an image, E0604 if
    the input takes no image or `resize` does not suit it.
    """
    channels = input_type.channels
    if input_type.rank != 2 or channels not in MODES:
        raise CnnError.of(
            "E0604", f"the input is {input_type}; an image fits 1xHxW (grey) and 3xHxW (colour)"
        )
    image = _fit(_open(Path(path), MODES[channels]), input_type, resize)
    values = np.asarray(image, np.float32).reshape(image.height, image.width, channels) / 255
    normal = (values - _per_channel(mean, channels)) / _per_channel(std, channels)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None])


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


def _fit(image: Image.Image, input_type: TensorType, resize: int | None) -> Image.Image:
    height, width = input_type.spatial
    if isinstance(height, OpenDim) or isinstance(width, OpenDim):
        if resize is not None:
            raise CnnError.of("E0604", f"resize needs fixed sizes; the input is {input_type}")
        return image
    cover_height = round(height * 256 / 224) if resize is None else resize
    cover_width = round(width * cover_height / height)
    if cover_height < height:
        raise CnnError.of(
            "E0604", f"resize {resize} is below the height of the input, {input_type}"
        )
    scale = max(cover_height / image.height, cover_width / image.width)
    full_width, full_height = round(image.width * scale), round(image.height * scale)
    if Image.MAX_IMAGE_PIXELS and full_width * full_height > Image.MAX_IMAGE_PIXELS:
        raise CnnError.of(
            "E0606",
            f"an image of {image.width}x{image.height} pixels is too narrow for {input_type}",
        )
    left, top = round((full_width - width) / 2), round((full_height - height) / 2)
    scaled = image.resize((full_width, full_height), Image.Resampling.BILINEAR)
    return scaled.crop((left, top, left + width, top + height))


def _per_channel(values: Sequence[float], channels: int) -> Array:
    array = np.asarray(values, np.float32)
    if array.size not in (1, 3):
        raise CnnError.of("E0604", f"a photo has 1 or 3 channels, not {array.size}")
    return array.mean(keepdims=True) if channels == 1 else array
