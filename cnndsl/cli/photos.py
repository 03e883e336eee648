"""How photos become inputs, where the command line says it otherwise than the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.numbers import Finite
from cnndsl.cli.parameters import NamedPath
from cnndsl.cli.terminal import log
from cnndsl.ir.photo import INTERPOLATIONS, ORDERS

if TYPE_CHECKING:
    from cnndsl.ir.photo import Photo
    from cnndsl.ir.types import TensorType

NAMES = ("resize", "crop", "interpolation", "mean", "std", "order", "range")
"""The options, which are the arguments of `photo` in a text."""


class PerChannel(click.ParamType[tuple[float, ...]]):
    """One number, or three with commas."""

    name = "number[,…]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """The numbers."""
        try:
            numbers = tuple(map(float, value.split(","))) if isinstance(value, str) else value
        except ValueError:
            numbers = ()
        if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} is not one number, or three such as 0.5,0.5,0.5", param, ctx)
        if param and param.name == "std" and min(numbers) <= 0:
            self.fail("standard deviations are above 0", param, ctx)
        return tuple(numbers)


OPTIONS = (
    click.option(
        "--resize",
        type=click.IntRange(1),
        help="Photos are scaled to this height of the input before the centre is cut out.",
    ),
    click.option(
        "--crop",
        type=Finite(0, 1, min_open=True),
        help="The same as a share: the input's height of that.",
    ),
    click.option("--interpolation", type=click.Choice(INTERPOLATIONS), help="How they are scaled."),
    click.option("--mean", type=PerChannel(), help="What is taken from the pixels of photos."),
    click.option("--std", type=PerChannel(), help="What they are divided by then."),
    click.option("--order", type=click.Choice(ORDERS), help="The order of the channels."),
    click.option("--range", type=click.Choice(["1", "255"]), help="What white is, before --mean."),
)


image_option = click.option(
    "--image", "images", type=NamedPath(), multiple=True, help="A photo as an input."
)


def photo_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of NAMES; the command gets those that are given as `photo`, by name."""

    @wraps(command)
    def with_photo(*arguments: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in NAMES}
        photo = {name: value for name, value in given.items() if value is not None}
        if "range" in photo:
            photo["range"] = float(photo["range"])
        return command(*arguments, photo=photo, **options)

    made: Callable[..., Any] = with_photo
    for option in reversed(OPTIONS):
        made = option(made)
    return made


def refuse_without_photos(photo: Mapping[str, Any]) -> None:
    """Raise UsageError if an option for photos is given where no input is one."""
    for name in photo:
        raise click.UsageError(f"--{name} is for photos, and no input is one")


def chosen_photo(
    photos: Mapping[str, Photo],
    name: str,
    given: Mapping[str, Any],
    kind: TensorType,
    *,
    tell: bool = True,
) -> Photo:
    """How photos become an input: as the network or the command line says, else a remark tells.

    Raises CnnError (E0604, E0224).
    """
    from cnndsl.runtime.photos import chosen

    found = chosen(photos.get(name), given, kind)
    if tell and name not in photos and not {"mean", "std"} & given.keys():
        log(f"photos are read as for ImageNet: nothing says how one becomes the input {name!r}")
    return found
