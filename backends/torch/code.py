"""Pieces of Python code with places for operands, and for values that instances differ in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

ATOM, PRODUCT, SUM, ANY = range(4)
"""How strongly expressions bind: calls and names, products, sums; ANY is what arguments may be."""


@dataclass(frozen=True)
class Slot:
    """A value; `name` is what a parameter would be called that stands for it."""

    name: str
    value: Any = field(compare=False)


@dataclass(frozen=True)
class Option:
    """A keyword argument, which is not written where all instances have the default."""

    keyword: str
    slot: Slot
    default: Any = field(compare=False)


@dataclass(frozen=True)
class Operand:
    """An operand, in parentheses if it binds less than `level`."""

    index: int
    level: int = ANY


@dataclass(frozen=True)
class Own:
    """The module of the layer itself."""


Piece: TypeAlias = str | Slot | Option | Operand | Own
Code: TypeAlias = tuple[Piece, ...]
"""Pieces are equal if they are the same code but for values, so that they make one class."""

X = Operand(0)


@dataclass(frozen=True)
class Layer:
    """What an operator is in PyTorch: an expression of its operands, and its module, if any.

    `starts` tells that the expression begins a statement of its own.
    """

    result: Code
    module: Code | None = None
    starts: bool = False
    level: int = ATOM


_PLACES = re.compile(r"\{(x(?:\.)?|\w+)\}")


def code(template: str, **values: Any) -> Code:
    """A text with `{x}` for the operand, `{x.}` where it has to be an atom, `{name}` for values."""
    pieces: list[Piece] = []
    for index, text in enumerate(_PLACES.split(template)):
        if index % 2 == 0:
            pieces += [text] if text else []
        elif text in ("x", "x."):
            pieces.append(Operand(0, ATOM if text == "x." else ANY))
        else:
            pieces.append(Slot(text, values[text]))
    return tuple(pieces)


def call(function: str, *arguments: Piece, **options: tuple[Any, Any]) -> Code:
    """A call; the options are pairs of a value and the default."""
    pieces: list[Piece] = [f"{function}("]
    for index, argument in enumerate(arguments):
        pieces += [", ", argument] if index else [argument]
    for keyword, (value, default) in options.items():
        pieces.append(Option(keyword, Slot(keyword, value), default))
    return (*pieces, ")")


def expression(template: str, **values: Any) -> Layer:
    """A layer without a module, that of a template."""
    return Layer(code(template, **values))


def module(made: Code, *, starts: bool = False, result: Code = (Own(), "(", X, ")")) -> Layer:
    """A layer that is a module, called with its operand unless said otherwise."""
    return Layer(result, made, starts)


def joined(pieces: Sequence[Piece], separator: str) -> Code:
    """Pieces with a text between them."""
    found: list[Piece] = []
    for index, piece in enumerate(pieces):
        found += [separator, piece] if index else [piece]
    return tuple(found)


def literal(value: Any) -> str:
    """A number, a text, or nested tuples of them, as Python writes them."""
    if isinstance(value, float) and value.is_integer() and abs(value) >= 1e16:
        return repr(value)
    return repr(value)


def alike(sizes: Sequence[Any]) -> Any:
    """One size if those of all axes are equal, else a tuple."""
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def flat_pads(pads: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """(before, after) for each axis as `F.pad` takes them: the last axis first."""
    return tuple(side for pair in reversed(pads) for side in pair)


def is_even(pads: Sequence[tuple[int, int]]) -> bool:
    """Whether both sides of each axis have the same padding."""
    return all(before == after for before, after in pads)
