"""What a network sees of a photo: crops of it, mirrored ones, at several scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cnndsl.diagnostics import CnnError
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import chosen

if TYPE_CHECKING:
    from PIL.Image import Image

SINGLE, TEN, DENSE = CROPS = ("single", "ten", "dense")


@dataclass(frozen=True)
class Views:
    """Which crops, whether each is seen mirrored too, and the heights that photos are scaled to.

    `single`: the centre, as the photo of the network says. `ten`: the corners and the centre of the
    enlarged input that the photo covers, and all of them mirrored (Krizhevsky et al. 2012, section
    4.1). `dense`: the whole photo (Simonyan, Zisserman 2014, section 3.2). Without `scales`
    there is one, that of the photo.
    """

    crops: str = SINGLE
    flip: bool = False
    scales: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.crops not in CROPS:
            raise CnnError.of("E0603", f"crops are {', '.join(CROPS)}, not {self.crops!r}")

    @property
    def dense(self) -> bool:
        """Whether the sizes of views depend on the photo."""
        return self.crops == DENSE

    def at_scales(self, photo: Photo, kind: TensorType) -> list[Photo]:
        """The photo for each scale. Raises CnnError (E0224) for a scale below the input."""
        return [chosen(photo, {"resize": scale}, kind) for scale in self.scales] or [photo]

    def of_image(self, image: Image, kind: TensorType, photos: Sequence[Photo]) -> Iterator[Array]:
        """For each scale the views of an image, [views, C, H, W], for an input of a type.

        Raises CnnError E0606 for an image that is too narrow.
        """
        from cnndsl.runtime.image import pixels

        for photo in photos:
            seen = pixels(self._crops(image, kind, photo), photo)
            mirrored = self.flip or self.crops == TEN
            yield np.concatenate([seen, seen[..., ::-1]]) if mirrored else seen

    def of_array(self, array: Array) -> Array:
        """The views of an array [C, H, W] that is an input already."""
        return np.stack([array, array[..., ::-1]]) if self.flip else array[None]

    def _crops(self, image: Image, kind: TensorType, photo: Photo) -> list[Image]:
        from cnndsl.runtime.image import covering, fitted

        if self.crops == SINGLE:
            return [fitted(image, kind, photo)]
        _, height, width = kind.sizes
        cover = photo.cover(height)
        full = covering(image, height, width, photo, cover)
        if self.crops == DENSE:
            return [full]
        wide = round(width * cover / height)
        left, top = round((full.width - wide) / 2), round((full.height - cover) / 2)
        rest = (cover - height, wide - width)
        corners = [
            (0, 0),
            (0, rest[1]),
            (rest[0], 0),
            rest,
            (round(rest[0] / 2), round(rest[1] / 2)),
        ]
        boxes = [(left + x, top + y) for y, x in corners]
        return [full.crop((x, y, x + width, y + height)) for x, y in boxes]


def require_photos(views: Views) -> None:
    """Raise CnnError (E0770) where arrays are to be cropped or scaled."""
    if views.crops != SINGLE or views.scales:
        message = "arrays are inputs already: they are neither cropped nor scaled"
        raise CnnError.of("E0770", message, hint="photos in a folder are; --flip goes for both")
