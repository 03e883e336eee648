"""Dimensions: a whole number, or an expression over open sizes such as `H`.

An open size is written in the language as `input image [3, H, W]`, or `[3, 32*H, 32*W]` where it
has to be a multiple. Windows turn it into `floor((H + c) / s) + d`, so a dimension is an affine
sum whose atoms are symbols and floor quotients. Sums are kept in one canonical form, hence two
dimensions that are computed in the same way compare equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import gcd, lcm
from operator import index
from typing import SupportsIndex, TypeAlias


@dataclass(frozen=True)
class Symbol:
    """An open size, by name."""

    name: str

    def __str__(self) -> str:
        return self.name

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The size that `sizes` gives to the symbol."""
        return sizes[self.name]


@dataclass(frozen=True)
class Quotient:
    """floor(dividend / divisor), divisor > 1."""

    dividend: OpenDim
    divisor: int

    def __str__(self) -> str:
        rounding, shown = "floor", self.dividend
        if self.dividend.constant == self.divisor - 1:
            rounding, shown = "ceil", OpenDim(self.dividend.terms)
        text = str(shown)
        return f"{rounding}({f'({text})' if ' ' in text else text}/{self.divisor})"

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The quotient for the given sizes."""
        return self.dividend.evaluate(sizes) // self.divisor


Atom: TypeAlias = Symbol | Quotient


@dataclass(frozen=True)
class OpenDim:
    """constant + sum of factor * atom, atoms in the order of their text, no factor zero."""

    terms: tuple[tuple[Atom, int], ...]
    constant: int = 0

    @classmethod
    def symbol(cls, name: str) -> OpenDim:
        """The dimension that is just an open size."""
        return cls(((Symbol(name), 1),))

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The dimension for the given sizes of its symbols."""
        return self.constant + sum(f * atom.evaluate(sizes) for atom, f in self.terms)

    def __add__(self, other: Dim) -> Dim:
        if not isinstance(other, OpenDim):
            number = _whole(other)
            if number is None:
                return NotImplemented
            return OpenDim(self.terms, self.constant + number)
        factors = dict(self.terms)
        for atom, factor in other.terms:
            factors[atom] = factors.get(atom, 0) + factor
        return _canonical(factors, self.constant + other.constant)

    __radd__ = __add__

    def __mul__(self, factor: int) -> Dim:
        number = _whole(factor)
        if number is None:
            return NotImplemented
        scaled = {atom: f * number for atom, f in self.terms}
        return _canonical(scaled, self.constant * number)

    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -other

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __floordiv__(self, divisor: int) -> Dim:
        number = _whole(divisor)
        if number is None:
            return NotImplemented
        if number < 1:
            raise ZeroDivisionError if number == 0 else TypeError
        divisor = number
        match self.terms:
            case ((Quotient(dividend, first), 1),):
                return (dividend + self.constant * first) // (first * divisor)
        whole = {a: f // divisor for a, f in self.terms if f % divisor == 0}
        rest = {a: f for a, f in self.terms if f % divisor}
        quotient, remainder = divmod(self.constant, divisor)
        if rest:
            common = gcd(divisor, *rest.values())
            inner = _canonical({a: f // common for a, f in rest.items()}, remainder // common)
            assert isinstance(inner, OpenDim)
            whole[Quotient(inner, divisor // common)] = 1
        return _canonical(whole, quotient)

    def __truediv__(self, divisor: int) -> Dim:
        """The quotient where it is a whole number for all sizes, else TypeError."""
        if _whole(divisor) is None:
            return NotImplemented
        quotient = self // divisor
        if quotient * divisor != self:
            raise TypeError
        return quotient

    def __mod__(self, divisor: int) -> Dim:
        return self - self // divisor * divisor

    def symbols(self) -> Iterator[str]:
        """The open sizes in it, each as often as it occurs."""
        for atom, _ in self.terms:
            if isinstance(atom, Symbol):
                yield atom.name
            else:
                yield from atom.dividend.symbols()

    @property
    def is_input(self) -> bool:
        """Whether an input can have this size: `H`, or `32*H`, or `32*H + 1`, at least 1."""
        match self.terms:
            case ((Symbol(), factor),):
                return factor > 0 and factor + self.constant > 0
        return False

    @property
    def step(self) -> int:
        """The distance of neighbouring sizes of an input."""
        return self.terms[0][1]

    def solve(self, size: int) -> int | None:
        """The value of the symbol for which an input has a size; None if it never has."""
        value, rest = divmod(size - self.constant, self.step)
        return None if rest or value < 1 else value

    def __str__(self) -> str:
        signs = {1: "", -1: "-"}
        parts = [f"{signs.get(f, f'{f}*')}{atom}" for atom, f in self.terms]
        if self.constant:
            parts.append(str(self.constant))
        return " + ".join(parts).replace("+ -", "- ")

    def __repr__(self) -> str:
        return str(self)


def _whole(value: object) -> int | None:
    """A whole number, of numpy too, as an int."""
    return index(value) if isinstance(value, SupportsIndex) else None


Dim: TypeAlias = int | OpenDim

_INPUT = re.compile(r"(?:([1-9]\d{0,9})\*)?([^\W\d]\w*)(?: ([+-]) (\d{1,9}))?", re.ASCII)


def input_dim(text: str) -> OpenDim:
    """The open size of an input with that text; any other text is a symbol of that name."""
    match = _INPUT.fullmatch(text)
    if match is None:
        return OpenDim.symbol(text)
    factor, name, sign, constant = match.groups()
    dim = OpenDim(((Symbol(name), int(factor or 1)),), int(f"{sign or ''}{constant or 0}"))
    return dim if dim.is_input else OpenDim.symbol(text)


def times(dim: Dim, part: Dim) -> int:
    """How often a size is another one, whatever the open sizes; 0 if that is no whole number."""
    first, second = (n if isinstance(n, int) else n.terms[0][1] for n in (dim, part))
    found = first // second if second else 0
    return found if part * found == dim else 0


def at(dim: Dim, sizes: Mapping[str, int]) -> int:
    """A dimension for the given sizes of its symbols."""
    return dim if isinstance(dim, int) else dim.evaluate(sizes)


def multiples(dims: Iterable[Dim]) -> dict[str, int]:
    """The open sizes that quotients in dimensions round, with a multiple that none of them does."""
    found: dict[str, int] = {}
    for dim in dims:
        for atom, _ in dim.terms if isinstance(dim, OpenDim) else ():
            if isinstance(atom, Quotient):
                within = multiples([atom.dividend])
                for name in atom.dividend.symbols():
                    found[name] = lcm(found.get(name, 1), atom.divisor * within.get(name, 1))
    return found


def scaled(dim: Dim, factors: Mapping[str, int]) -> Dim:
    """A dimension with a multiple of some open sizes in place of each."""
    if not isinstance(dim, OpenDim):
        return dim
    total: Dim = dim.constant
    for atom, factor in dim.terms:
        if isinstance(atom, Symbol):
            total += OpenDim.symbol(atom.name) * (factor * factors.get(atom.name, 1))
        else:
            total += scaled(atom.dividend, factors) // atom.divisor * factor
    return total


def _canonical(factors: Mapping[Atom, int], constant: int) -> Dim:
    terms = tuple(sorted(((a, f) for a, f in factors.items() if f), key=lambda t: str(t[0])))
    return OpenDim(terms, constant) if terms else constant
