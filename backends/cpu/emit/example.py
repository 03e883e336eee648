"""The example of a library: a program that classifies a photo, or runs on files of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cnndsl.backends.cpu.emit.templates import filled
from cnndsl.backends.native.artefact import Artefact
from cnndsl.runtime.module import Port
from cnndsl.runtime.photos import chosen, photos_of

FILTERS = {
    "nearest": (0, "return x == x;"),
    "box": (1, "return x > -0.5 && x <= 0.5;"),
    "bilinear": (2, "return fabs(x) < 1 ? 1 - fabs(x) : 0;"),
    "bicubic": (
        4,
        "x = fabs(x);\n"
        "    return x < 1 ? (1.5 * x - 2.5) * x * x + 1\n"
        "           : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;",
    ),
    "lanczos": (
        6,
        "double turn = 3.141592653589793 * x;\n"
        "    return fabs(x) >= 3 ? 0\n"
        "           : x == 0 ? 1 : sin(turn) / turn * sin(turn / 3) / (turn / 3);",
    ),
}
"""Interpolations: over how many pixels their weights reach, 0 for the nearest, and these in C."""


def source(net: str, artefact: Artefact, embeds: bool) -> str:
    """The text in C."""
    photo = takes_photo(artefact)
    path = f'argc > 2 ? argv[2] : "{net}.weights"' if photo else "argv[1]"
    words = {
        "net": net,
        "NET": net.upper(),
        "create": f"{net}_create_embedded(&net)" if embeds else f"{net}_create(&net, {path})",
    }
    if not photo:
        return filled("example_arrays.c.in", words)
    channels, height, width = map(int, artefact.inputs[0].type.sizes)
    return filled("example.c.in", {**words, **photo_words(channels, height, width, artefact)})


def takes_photo(artefact: Artefact) -> bool:
    """Whether a network's one input is a photo, and its one output scores of classes."""
    if len(artefact.inputs) != 1 or len(artefact.outputs) != 1 or artefact.program["batch"] != 1:
        return False
    sizes = artefact.inputs[0].type.sizes
    return len(sizes) == 3 and sizes[0] in (1, 3) and classes_of(artefact.outputs[0]) > 1


def classes_of(port: Port) -> int:
    """How many scores an output has; 1 if it is no vector of them."""
    sizes = [int(size) for size in port.type.sizes]
    return math.prod(sizes) if math.prod(sizes[1:]) == 1 else 1


def photo_words(channels: int, height: int, width: int, artefact: Artefact) -> dict[str, str]:
    """What the example has to know of the input, and of how `runtime.image` makes it of photos."""
    port = artefact.inputs[0]
    photo = chosen(photos_of(artefact.metadata).get(port.name), {}, port.type)
    cover = photo.cover(height)
    mean, std = (_floats(values, channels) for values in (photo.mean, photo.std))
    support, weight = FILTERS[photo.interpolation]
    return {
        "channels": str(channels),
        "height": str(height),
        "width": str(width),
        "classes": str(classes_of(artefact.outputs[0])),
        "cover_height": str(cover),
        "cover_width": str(round(width * cover / height)),
        "mean": mean,
        "std": std,
        "scale": repr(255 / photo.range),
        "bgr": str(int(photo.order == "bgr")),
        "interpolation": photo.interpolation,
        "support": str(support),
        "filter": weight,
    }


def _floats(values: Sequence[float], channels: int) -> str:
    """A number for each channel in C."""
    array = np.broadcast_to(np.asarray(values, np.float32), channels)
    return ", ".join(f"{float(value)!r}f" for value in array)
