"""Layers of a weight file: arrays whose names differ in their last part alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
Signature: TypeAlias = tuple[tuple[str, Shape], ...]

FACTOR = re.compile("(gamma|layer_scale|scale)(_?[0-9]+)?")
"""What modules call a factor of each channel that is no layer of its own, such as layer scale."""


@dataclass(frozen=True)
class Layer:
    """What its arrays' names start with, and their shapes by role, such as "weight".

    A `bare` one is a single array, a weight, whose whole name is the prefix.
    """

    prefix: str
    shapes: Mapping[str, Shape]
    bare: bool = False

    @property
    def name(self) -> str:
        """The layer's path."""
        return self.prefix.removesuffix(".")

    @property
    def signature(self) -> Signature:
        """What layers have to share to take each other's arrays; 1x1 kernels count as matrices."""
        return tuple(sorted((role, squeezed(shape)) for role, shape in self.shapes.items()))

    def array(self, role: str) -> str:
        """The name of the array in a role, or with the role `*` of all its arrays."""
        return self.prefix if self.bare else self.prefix + role


def layers_of(shapes: Iterable[tuple[str, Shape]]) -> list[Layer]:
    """The layers, in the order of their first arrays, from the arrays' names and shapes."""
    found: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes:
        layer, dot, role = name.rpartition(".")
        found.setdefault(layer + dot, {})[role] = shape
    return [layer for prefix, roles in found.items() for layer in _with_factors(prefix, roles)]


def _with_factors(prefix: str, roles: Mapping[str, Shape]) -> Iterator[Layer]:
    """The layer, or the factors of channels of a module that has no weight and no bias."""
    factors: dict[str, Shape] = {}
    if roles.keys().isdisjoint(("weight", "bias")):
        vectors = {role: shape[:1] for role, shape in roles.items() if set(shape[1:]) <= {1}}
        factors = {
            role: shape for role, shape in vectors.items() if shape and FACTOR.fullmatch(role)
        }
    for role, shape in factors.items():
        yield Layer(prefix + role, {"weight": shape}, bare=True)
    rest = {role: shape for role, shape in roles.items() if role not in factors}
    if rest:
        yield Layer(prefix, rest)


def squeezed(shape: Sequence[int]) -> Shape:
    """A shape of more than two sizes without the ones at its end: a 1x1 kernel is a matrix."""
    shape = tuple(shape)
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def numbered(name: str) -> tuple[str | int, ...]:
    """A name as texts and numbers in turn; a part without a number at its end counts as 0.

    So `conv2d`, `conv2d_1`, `conv2d_10` are numbers 0, 1 and 10, as Keras means them.
    """
    parts = (part if part[-1:].isdigit() else f"{part}_0" for part in name.split("."))
    pieces = re.findall(r"[0-9]+|[^0-9]+", ".".join(parts))
    return tuple(int(piece) if piece.isdecimal() else piece for piece in pieces)


def sort_key(name: str) -> list[tuple[bool, int, str]]:
    """Sorts names by their texts and, where these agree, by their numbers."""
    return [(isinstance(p, str), p if isinstance(p, int) else 0, str(p)) for p in numbered(name)]
