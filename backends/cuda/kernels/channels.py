"""Operators that combine the channels of one position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, Launch, elementary, nearest
from cnndsl.backends.cuda.steps import number
from cnndsl.ir.operators import (
    ChannelMax,
    LocalResponseNorm,
    Maxout,
    Softmax,
)
from cnndsl.ir.types import FLOAT32

SHARING = (32, 64, 128, 256, 512, 1024)
"""Threads of a block to choose from that share the channels of a position."""


def _each(call: Call[Any], body: str) -> Iterator[Kernel]:
    """Statements that return the value of channel c; `q` is a place to read from."""
    core = f"each_channel<Y>(v, p, [&](int c) {{ Place q = p; {body} }});"
    return elementary("channels", call, core)


def maxout(call: Call[Maxout]) -> Iterator[Kernel]:
    """Largest of each run of channels."""
    return _largest(call, f"c * {call.op.pieces}", f"(c + 1) * {call.op.pieces}")


def channel_max(call: Call[Any]) -> Iterator[Kernel]:
    """Largest channel at each position."""
    return _largest(call, "0", f"{call.x.channels}")


def _largest(call: Call[Any], first: str, end: str) -> Iterator[Kernel]:
    return _each(
        call,
        f"q.c = {first}; float largest = pick<X0>(a.x0, q); "
        f"while (++q.c < {end}) largest = maximum(largest, pick<X0>(a.x0, q)); return largest;",
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


def softmax(call: Call[Any]) -> Iterator[Kernel]:
    """Over the channels of each position, shifted by their maximum against overflow."""
    positions = call.output.batch * call.output.positions
    busy = [n for n in SHARING if n < 2 * call.x.channels or n == SHARING[0]]
    for threads in nearest(min(busy[-1], 256), busy):
        launch = Launch((positions, 1, 1), threads, threads * FLOAT32.bytes, cooperative=True)
        constants = {"PADDED": call.output.padded}
        yield Kernel(
            "softmax", f"{threads} threads", "softmax", launch, call.step_weights(), constants
        )


FAMILIES: Families = {
    Maxout: maxout,
    ChannelMax: channel_max,
    Softmax: softmax,
    LocalResponseNorm: local_response_norm,
}
