"""How a photo becomes an input of a network: scaled, cropped, its pixels as the numbers wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from cnndsl.ir.attributes import (
    COUNT,
    NUMBERS,
    POSITIVES,
    SHARE,
    WHITE,
    AttributeValueError,
    attribute,
    build,
    choice,
    optional,
)
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.types import TensorType

INTERPOLATIONS = ("nearest", "box", "bilinear", "bicubic", "lanczos")
ORDERS = ("rgb", "bgr")
WORDS = (*INTERPOLATIONS, *ORDERS)
"""Names that stand for themselves in arguments of `photo`."""

CROP = 0.875
"""The share of the height that is kept where nothing is said: 224 of 256."""

LARGEST = 3.4e38
"""What a number in float32 may be."""

SHORT = 6
"""Characters of a number that is easily read."""


@dataclass(frozen=True)
class Photo:
    """A photo becomes an input [channels, height, width].

    It is scaled, its proportions kept, to just cover the input enlarged by 1 / crop; the height
    of that is `resize` pixels, another way to say the same. The centre is cut out. Pixels from 0
    to `range`, their channels in that `order`, become (pixel - mean) / std. Where a side of the
    input is open, the shorter side of the photo becomes `resize`, and nothing is cut off; without
    `resize` the photo keeps its size.
    """

    name: ClassVar[str] = "photo"

    resize: int | None = attribute(optional(COUNT), None)
    crop: float | None = attribute(optional(SHARE), None)
    interpolation: str = attribute(choice(*INTERPOLATIONS), "bilinear")
    mean: tuple[float, ...] = attribute(NUMBERS, (0.0,))
    std: tuple[float, ...] = attribute(POSITIVES, (1.0,))
    order: str = attribute(choice(*ORDERS), "rgb")
    range: float = attribute(WHITE, 1.0)

    def fitted(self, kind: TensorType) -> Photo:
        """The same for an input of a type, `resize` said as `crop`, which holds for other sizes.

        Raises OperatorError (E0224) for what does not suit the input.
        """
        channels = kind.channels
        if kind.rank != 2 or channels not in (1, 3):
            raise _unsuitable(f"a photo becomes 1xHxW (grey) or 3xHxW (colour), not {kind}")
        for field in ("mean", "std"):
            count = len(getattr(self, field))
            if count not in (1, channels):
                message = f"{field} has {count} numbers, the input {channels} channels"
                raise _unsuitable(message, field)
        if (self.range + max(map(abs, self.mean))) / min(self.std) > LARGEST:
            raise _unsuitable("pixels would become numbers too large for float32", "std")
        if channels == 1 and self.order != "rgb":
            raise _unsuitable("the one channel of a grey photo has no order", "order")
        if kind.is_open:
            if self.crop is not None:
                hint = "resize= is the length of the shorter side"
                message = f"crop is a share of the input's height, which is open: {kind}"
                raise _unsuitable(message, "crop", hint)
            return self
        (height, _) = kind.sizes[1:]
        return replace(self, resize=None, crop=self._share(height))

    def _share(self, height: int) -> float:
        """What is kept of the height. Raises OperatorError."""
        if self.resize is None:
            return self.crop or CROP
        share = height / self.resize
        if share > 1:
            message = f"resize={self.resize} is below the height of the input, {height}"
            raise _unsuitable(message, "resize")
        if self.crop is not None and abs(self.crop * self.resize - height) >= 1:
            hint = f"crop={share:.4g} says the same as resize={self.resize}; give one of them"
            message = f"a crop of {self.crop:g} of {self.resize} pixels is not the height {height}"
            raise _unsuitable(message, "crop", hint)
        return share

    def given(self, kind: TensorType) -> dict[str, Any]:
        """The arguments that say it for an input of a type, without those left out as well."""
        found = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        if self.crop is not None:
            del found["crop"]
            found = self._cut(kind) | found
        return {name: _written(value) for name, value in found.items()}

    def text(self, kind: TensorType) -> str:
        """The same as the language writes it."""
        found = (f"{name}={_text(value)}" for name, value in self.given(kind).items())
        return f"{self.name}({', '.join(found)})"

    def _cut(self, kind: TensorType) -> dict[str, Any]:
        """The crop as a short number, or by the pixels that it is of."""
        if self.crop == CROP or self.crop is None:
            return {}
        height = kind.sizes[1]
        resize = round(height / self.crop)
        exact = height / resize == self.crop
        return {"resize": resize} if exact and len(repr(self.crop)) > SHORT else {"crop": self.crop}

    def cover(self, height: int) -> int:
        """The height in pixels of the scaled photo's part that covers the enlarged input."""
        return round(height / (self.crop or CROP)) if self.resize is None else self.resize

    def to_json(self) -> dict[str, Any]:
        """All fields that have values."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


def photo_from_json(data: Any) -> Photo:
    """The photo of `Photo.to_json`. Raises ValueError if the data are none."""
    if not isinstance(data, dict) or not set(data) <= {field.name for field in fields(Photo)}:
        raise ValueError("these are not the arguments of photo")
    photo: Photo = build(Photo, data)
    return photo


def changed(photo: Photo, given: Mapping[str, Any]) -> Photo:
    """The photo with other fields, not yet fitted. Raises OperatorError (E0224).

    A crop takes the place of `resize`, and the other way round. Another range needs a mean and a
    deviation in it.
    """
    known = [field.name for field in fields(Photo)]
    for name in given.keys() - set(known):
        raise _unsuitable(f"photo has no argument {name!r}", hint=f"it has: {', '.join(known)}")
    try:
        made = build(Photo, given)
    except AttributeValueError as error:
        raise _unsuitable(str(error), error.name) from None
    given = {name: getattr(made, name) for name in given}
    normal = {"mean", "std"} - given.keys()
    default = Photo()
    if "range" in given and given["range"] != photo.range:
        left = [name for name in sorted(normal) if getattr(photo, name) != getattr(default, name)]
        if left:
            message = f"{' and '.join(left)} are of pixels from 0 to {photo.range:g}"
            hint = f"give {' and '.join(left)} for pixels from 0 to {given['range']:g} too"
            raise _unsuitable(message, "range", hint)
    cut = {"resize": None, "crop": None} if {"resize", "crop"} & given.keys() else {}
    return replace(photo, **{**cut, **given})


def _written(value: Any) -> Any:
    """A field as texts write it: whole numbers as such, one number for itself."""
    if isinstance(value, tuple):
        return _written(value[0]) if len(value) == 1 else tuple(map(_written, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: Any) -> str:
    return f"[{', '.join(map(_text, value))}]" if isinstance(value, tuple) else str(value)


def _unsuitable(message: str, attribute: str | None = None, hint: str | None = None) -> Exception:
    return OperatorError("E0224", message, attribute=attribute, hint=hint)
