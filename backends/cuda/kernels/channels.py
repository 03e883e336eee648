"""Operators that combine the channels of one position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, elementary
from cnndsl.backends.cuda.steps import number
from cnndsl.ir.operators import (
    ArgMax,
    LocalResponseNorm,
    Maxout,
)


def _each(call: Call[Any], body: str) -> Iterator[Kernel]:
    """Statements that return the value of channel c; `q` is a place to read from."""
    core = f"each_channel<Y>(v, p, [&](int c) {{ Place q = p; {body} }});"
    return elementary("channels", call, core)


def maxout(call: Call[Maxout]) -> Iterator[Kernel]:
    """Largest of each run of channels."""
    pieces = call.op.pieces
    return _each(
        call,
        f"q.c = c * {pieces}; float largest = pick<X0>(a.x0, q); while (++q.c < (c + 1) * {pieces})"
        " largest = maximum(largest, pick<X0>(a.x0, q)); return largest;",
    )


def argmax(call: Call[ArgMax]) -> Iterator[Kernel]:
    """Number of the first channel that no later one exceeds; the first NaN ends the search."""
    return _each(
        call,
        "q.c = 0; float largest = pick<X0>(a.x0, q); int found = 0; "
        "while (++q.c < X0::C && largest == largest) { const float x = pick<X0>(a.x0, q); "
        "if (!(x <= largest)) { largest = x; found = q.c; } } return (float)found;",
    )


def local_response_norm(call: Call[LocalResponseNorm]) -> Iterator[Kernel]:
    """x[c] / (k + alpha * the sum of the squares of the neighbouring channels)^beta."""
    op = call.op
    reach = op.size // 2
    return _each(
        call,
        f"LongSum total; for (q.c = c < {reach} ? 0 : c - {reach}; q.c <= c + {reach}; ++q.c) "
        "{ const float x = pick<X0>(a.x0, q); total.add(x * x); } q.c = c; "
        f"return pick<X0>(a.x0, q) * powf({number(op.k)} + {number(op.alpha)} * total.value(), "
        f"{number(-op.beta)});",
    )


FAMILIES: Families = {
    ArgMax: argmax,
    Maxout: maxout,
    LocalResponseNorm: local_response_norm,
}
