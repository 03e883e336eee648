"""The matrices of Winograd's algorithms, and their products with tiles of vectors.

F(m, r) computes m outputs of a filter with r taps from m + r - 1 products. Its matrices follow
from interpolation of polynomials at m + r - 2 points and at infinity (Toom and Cook). Source:
Lavin and Gray (2016), section 4; Blahut (2010), Fast algorithms for signal processing, chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate
from math import lcm
from operator import mul

from cnndsl.backends.cpu.codegen.expressions import Expr, vector
from cnndsl.backends.cpu.codegen.tir import Code

Matrix = tuple[tuple[float, ...], ...]

POINTS = tuple(Fraction(text) for text in ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "4/3", "-3/4"))
"""Small numbers whose powers differ little in size lose least by rounding."""


@dataclass(frozen=True)
class Transform:
    """F(m, r): B^T for inputs, G for weights, A^T for outputs."""

    m: int
    r: int
    input: Matrix
    weight: Matrix
    output: Matrix

    @property
    def size(self) -> int:
        """Inputs of a tile, and products."""
        return self.m + self.r - 1


@cache
def transform(m: int, r: int) -> Transform:
    """The matrices of F(m, r), whole numbers in that of the inputs."""
    points = POINTS[: m + r - 2]
    inputs: list[list[Fraction]] = []
    weights: list[list[Fraction]] = []
    for point in points:
        others = [other for other in points if other != point]
        factors = _polynomial(others)
        value = sum(map(mul, factors, _powers(point, len(factors))), Fraction(0))
        scale = lcm(*(factor.denominator for factor in factors))
        inputs.append([factor * scale for factor in factors] + [Fraction(0)])
        weights.append([power / (value * scale) for power in _powers(point, r)])
    inputs.append(_polynomial(points))
    weights.append([Fraction(power == r - 1) for power in range(r)])
    columns = [*(_powers(point, m) for point in points), [Fraction(k == m - 1) for k in range(m)]]
    outputs = list(zip(*columns, strict=True))
    return Transform(m, r, _floats(inputs), _floats(weights), _floats(outputs))


def _powers(point: Fraction, count: int) -> list[Fraction]:
    """1, point, point^2, ..."""
    return list(accumulate([point] * (count - 1), mul, initial=Fraction(1)))


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of the product of (x - root), that of 1 first."""
    factors = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *factors]
        extended = [*factors, Fraction(0)]
        factors = [high - root * low for high, low in zip(shifted, extended, strict=True)]
    return factors


def _floats(rows: Sequence[Sequence[Fraction]]) -> Matrix:
    return tuple(tuple(map(float, row)) for row in rows)


Side = Callable[[Code, Matrix, Sequence[Expr], int], list[Expr]]


def transformed_inputs(
    code: Code, transforms: Sequence[Transform], tile: Sequence[Sequence[Expr]], lanes: int
) -> list[list[Expr]]:
    """B^T * tile * B, where the tile's elements are vectors; a transform for each axis."""
    down, across = transforms
    return _both_sides(code, _from_points, (down.input, across.input), tile, lanes)


def transformed_weights(
    code: Code, transform: Transform, points: range, taps: Sequence[Expr], lanes: int
) -> list[Expr]:
    """G * taps at some of the points, where the taps are vectors."""
    matrix = transform.weight[points.start : points.stop]
    return _from_points(code, matrix, taps, lanes)


def transformed_outputs(
    code: Code, transforms: Sequence[Transform], tile: Sequence[Sequence[Expr]], lanes: int
) -> list[list[Expr]]:
    """A^T * tile * A, where the tile's elements are vectors; a transform for each axis."""
    down, across = transforms
    return _both_sides(code, _to_powers, (down.output, across.output), tile, lanes)


def _both_sides(
    code: Code,
    times: Side,
    matrices: tuple[Matrix, Matrix],
    tile: Sequence[Sequence[Expr]],
    lanes: int,
) -> list[list[Expr]]:
    first, second = matrices
    columns = [[line[j] for line in tile] for j in range(len(tile[0]))]
    half = [times(code, first, column, lanes) for column in columns]
    lines = [[column[i] for column in half] for i in range(len(first))]
    return [times(code, second, line, lanes) for line in lines]


def _from_points(code: Code, matrix: Matrix, values: Sequence[Expr], lanes: int) -> list[Expr]:
    """matrix * vector; rows of opposite points share their even and their odd part."""
    kept = _keep(code, values, lanes)
    rows = list(matrix)
    results: list[Expr] = []
    while rows:
        row = rows.pop(0)
        if rows and _are_opposite(row, rows[0]):
            even, odd = _halves(row, rows.pop(0))
            parts = [_combination(part, kept, lanes) for part in (even, odd)]
            a, b = _keep(code, parts, lanes)
            results += [a + b, a - b]
        else:
            results.append(_combination(row, kept, lanes))
    return _keep(code, results, lanes)


def _to_powers(code: Code, matrix: Matrix, values: Sequence[Expr], lanes: int) -> list[Expr]:
    """matrix * vector; the values of opposite points are added and subtracted first."""
    columns = list(zip(*matrix, strict=True))
    kept = _keep(code, values, lanes)
    terms: list[Expr] = []
    factors: list[tuple[float, ...]] = []
    while columns:
        column, value = columns.pop(0), kept.pop(0)
        if columns and _are_opposite(column, columns[0]):
            factors += _halves(column, columns.pop(0))
            other = kept.pop(0)
            terms += [value + other, value - other]
        else:
            factors.append(column)
            terms.append(value)
    terms = _keep(code, terms, lanes)
    results = [_combination(row, terms, lanes) for row in zip(*factors, strict=True)]
    return _keep(code, results, lanes)


def _keep(code: Code, values: Sequence[Expr], lanes: int) -> list[Expr]:
    """The values, each computed once."""
    return [code.register(value, lanes).value for value in values]


def _are_opposite(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether numbers differ in their signs alone, and some but not all do."""
    even, odd = _halves(a, b)
    return all(abs(x) == abs(y) for x, y in zip(a, b, strict=True)) and any(even) and any(odd)


def _halves(a: Sequence[float], b: Sequence[float]) -> list[tuple[float, ...]]:
    """What of the first equals the second, and what is its opposite."""
    pairs = list(zip(a, b, strict=True))
    return [tuple(x if x == sign * y else 0.0 for x, y in pairs) for sign in (1, -1)]


def _combination(factors: Sequence[float], values: Sequence[Expr], lanes: int) -> Expr:
    """The sum of factor * value, without what adds nothing; positive terms come first."""
    terms = [(f, v) for f, v in zip(factors, values, strict=True) if f]
    total: Expr = None
    for factor, value in sorted(terms, key=lambda term: term[0] < 0):
        term = value if abs(factor) == 1 else value * vector(float(abs(factor)), lanes)
        if total is None:
            total = term if factor > 0 else term * vector(-1.0, lanes)
        else:
            total = total + term if factor > 0 else total - term
    return total
