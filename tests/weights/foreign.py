"""Names that another framework could have given to the layers of a network."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from cnndsl.weights.conversion.layers import Layer

Scheme = Callable[[list[Layer]], dict[str, str]]
SYLLABLES = ["ka", "lo", "mi", "nu", "pe", "ra", "so", "ti", "vu", "ze"]


def renamed_words(layers: list[Layer]) -> dict[str, str]:
    """Every word another, the numbers kept."""
    words: dict[str, str] = {}
    rng = random.Random(1)

    def other(match: re.Match[str]) -> str:
        taken = set(words.values())
        while match[0] not in words:
            word = "".join(rng.choices(SYLLABLES, k=3))
            if word not in taken:
                words[match[0]] = word
        return words[match[0]]

    return {layer.name: re.sub("[A-Za-z]+", other, layer.name) for layer in layers}


def numbered_members(layers: list[Layer]) -> dict[str, str]:
    """Members of every module by their numbers in the order of the text, as in a sequence."""
    numbers: dict[str, dict[str, int]] = {}
    found = {}
    for layer in layers:
        path: list[str] = []
        name = ""
        for part in layer.name.split("."):
            inside = numbers.setdefault(name, {})
            path.append(str(inside.setdefault(part, 2 * len(inside))))
            name = f"{name}.{part}"
        found[layer.name] = "model." + ".".join(path)
    return found


def kinds_counted(layers: list[Layer]) -> dict[str, str]:
    """The modules of the outermost level, and in them kinds of layers, counted from 1."""
    counts: dict[tuple[str, tuple[str, ...]], int] = {}
    found = {}
    for layer in layers:
        scope, _, rest = layer.name.partition(".")
        scope = f"part_{scope}" if rest else "rest"
        roles = tuple(sorted(layer.shapes))
        kind = {1: "w", 2: "layer", 4: "norm"}.get(len(roles), "other")
        number = counts[scope, roles] = counts.get((scope, roles), 0) + 1
        found[layer.name] = f"{scope}.{kind}{number}"
    return found


def counted_as_keras_does(layers: list[Layer]) -> dict[str, str]:
    """All layers of a kind counted through, without modules."""
    counts: dict[tuple[str, ...], int] = {}
    found = {}
    for layer in layers:
        roles = tuple(sorted(layer.shapes))
        number = counts[roles] = counts.get(roles, -1) + 1
        kind = "layer" if "running_mean" not in roles else "normalization"
        kind += "" if len(roles) in (2, 4) else f"_{len(roles)}x"
        found[layer.name] = f"{kind}_{number}" if number else kind
    return found


def without_meaning(layers: list[Layer]) -> dict[str, str]:
    """Names that tell nothing."""
    rng = random.Random(2)
    names: dict[str, str] = {}
    while len(names) < len(layers):
        names.setdefault("".join(rng.choices(SYLLABLES, k=5)), "")
    return dict(zip((layer.name for layer in layers), names, strict=True))


SCHEMES: list[Scheme] = [
    renamed_words,
    numbered_members,
    kinds_counted,
    counted_as_keras_does,
    without_meaning,
]
