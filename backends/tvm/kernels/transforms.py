"""The matrices of Winograd's algorithms, and their products with tiles of vectors.

Source: Lavin and Gray (2016), section 4, for F(2x2, 3x3) and F(4x4, 3x3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.tvm.tir import Code, Expr, vector

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Transform:
    """F(m, 3): B^T for inputs, G for weights, A^T for outputs."""

    m: int
    input: Matrix
    weight: Matrix
    output: Matrix

    @property
    def size(self) -> int:
        """Side of an input tile."""
        return self.m + 2


TRANSFORMS = {
    2: Transform(
        2,
        ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
        ((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
    4: Transform(
        4,
        (
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        (
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
        ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    ),
}
"""By m."""


def both_sides(
    code: Code, matrix: Matrix, tile: Sequence[Sequence[Expr]], lanes: int
) -> list[list[Expr]]:
    """matrix * tile * matrix^T, where the tile's elements are vectors."""
    columns = [[line[j] for line in tile] for j in range(len(tile[0]))]
    half = [_times(code, matrix, column, lanes) for column in columns]
    lines = [[column[i] for column in half] for i in range(len(matrix))]
    return [_times(code, matrix, line, lanes) for line in lines]


def _times(code: Code, matrix: Matrix, values: Sequence[Expr], lanes: int) -> list[Expr]:
    """matrix * vector; each result is kept in a register."""
    kept = [code.register(value, lanes).value for value in values]
    return [code.register(_combination(row, kept, lanes), lanes).value for row in matrix]


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
