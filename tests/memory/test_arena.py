"""Arenas against brute force: each byte of each step is taken once, and little is wasted."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.memory.arena import (
    ALIGNMENT,
    FITS,
    ORDERS,
    Rectangle,
    Shape,
    arena_bytes,
    arrange,
    live_bytes,
    lower_bound,
    place,
)

UNIT = ALIGNMENT


def rectangle(low: int, size: int, first: int, steps: int) -> Rectangle:
    return Rectangle(low * UNIT, (low + size) * UNIT, first, first + steps)


@st.composite
def shapes(draw: st.DrawFn) -> list[Shape]:
    """Stacks of one to three rectangles, sizes in whole units."""
    result = []
    for index in range(draw(st.integers(1, 7))):
        parts, low = [], 0
        for _ in range(draw(st.integers(1, 3))):
            size = draw(st.integers(1, 4))
            parts.append(rectangle(low, size, draw(st.integers(0, 6)), draw(st.integers(0, 3))))
            low += size
        result.append(Shape(str(index), tuple(parts)))
    return result


def cells(shape: Shape, offset: int) -> list[tuple[int, int]]:
    """All (step, unit) that a shape takes."""
    return [
        (step, offset // UNIT + unit)
        for part in shape.parts
        for step in range(part.first, part.last + 1)
        for unit in range(part.low // UNIT, part.high // UNIT)
    ]


@settings(max_examples=100)
@given(shapes())
def test_no_strategy_gives_a_byte_twice(given: list[Shape]) -> None:
    bound = lower_bound(given)
    for order, fit in product(ORDERS, FITS):
        offsets = place(order(given), fit, bound)
        taken = [cell for shape in given for cell in cells(shape, offsets[shape.name])]
        assert len(taken) == len(set(taken))
        assert min(offsets.values()) >= 0
        assert all(offset % ALIGNMENT == 0 for offset in offsets.values())


@settings(max_examples=100)
@given(shapes())
def test_the_best_strategy_is_between_the_bound_and_no_sharing(given: list[Shape]) -> None:
    live = live_bytes(given)
    for step, size in enumerate(live):
        assert size == UNIT * sum(
            1 for shape in given for cell in cells(shape, 0) if cell[0] == step
        )
    end = arena_bytes(given, arrange(given))
    assert max(live) <= end <= sum(shape.size for shape in given)


def test_a_chain_alternates_between_both_ends() -> None:
    """Each next to its neighbours in time; first fit by size needs a third more."""
    sizes = [2, 4, 2, 2, 4]
    chain = [Shape(str(i), (rectangle(0, n, i, 1),)) for i, n in enumerate(sizes)]
    assert arena_bytes(chain, arrange(chain)) == lower_bound(chain) == 6 * UNIT
    assert arena_bytes(chain, place(ORDERS[0](chain), FITS[0], 6 * UNIT)) == 8 * UNIT


def test_what_is_not_written_yet_can_hold_something_else() -> None:
    """A concat of 1 and 3 units; 3 units are needed between the two writes."""
    concat = Shape("concat", (rectangle(0, 1, 0, 9), rectangle(1, 3, 5, 4)))
    other = Shape("other", (rectangle(0, 3, 1, 3),))
    assert arena_bytes([concat, other], arrange([concat, other])) == 4 * UNIT
