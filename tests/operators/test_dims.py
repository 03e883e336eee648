"""Arithmetic with open sizes against the same arithmetic with plain numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.dims import Dim, OpenDim, at, input_dim, multiples, scaled, times
from cnndsl.ir.types import TensorType

SIZES = st.fixed_dictionaries({name: st.integers(1, 500) for name in ("H", "W")})
STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(-50, 50)),
    st.tuples(st.just("subtract from"), st.integers(-50, 50)),
    st.tuples(st.just("multiply"), st.integers(-4, 4)),
    st.tuples(st.just("divide"), st.integers(1, 7)),
    st.tuples(st.just("add symbol"), st.sampled_from(["H", "W"])),
    st.tuples(st.just("subtract symbol"), st.sampled_from(["H", "W"])),
)


def compute(steps: list[tuple[str, object]], symbols: Mapping[str, Dim]) -> Dim:
    value: Dim = symbols["H"]
    for action, operand in steps:
        if isinstance(operand, str):
            value = value + symbols[operand] if action == "add symbol" else value - symbols[operand]
        elif action == "add":
            value = value + operand
        elif action == "subtract from":
            value = operand - value
        elif action == "multiply":
            value = value * operand
        else:
            value = value // operand
    return value


OPEN = {name: OpenDim.symbol(name) for name in ("H", "W")}


@given(st.lists(STEP, max_size=8), SIZES)
def test_evaluates_like_numbers(steps: list[tuple[str, object]], sizes: dict[str, int]) -> None:
    dim = compute(steps, OPEN)
    value = dim.evaluate(sizes) if isinstance(dim, OpenDim) else dim
    assert value == compute(steps, sizes)


@given(st.lists(STEP, max_size=6))
def test_canonical(steps: list[tuple[str, object]]) -> None:
    """The same value reached in another order is the same object."""
    dim = compute(steps, OPEN)
    h, w = OPEN["H"], OPEN["W"]
    assert dim + h + w == w + dim + h
    assert dim - dim == 0
    assert (dim + 3) + 4 == dim + 7
    assert dim * 2 == dim + dim
    assert (dim * 6) // 3 == dim * 2
    assert hash(dim + h - h) == hash(dim)


@given(st.lists(STEP, max_size=8), SIZES)
def test_multiples_leave_no_rest(steps: list[tuple[str, object]], sizes: dict[str, int]) -> None:
    dim = compute(steps, OPEN)
    factors = multiples([dim])
    whole = scaled(dim, factors)
    assert not multiples([whole])
    assert at(whole, sizes) == at(dim, {n: size * factors.get(n, 1) for n, size in sizes.items()})


def test_text() -> None:
    h, w = OPEN["H"], OPEN["W"]
    assert str(h) == "H"
    assert str(2 * h - w - 3) == "2*H - W - 3"
    assert str((h - 3) // 2 + 1) == "ceil(H/2) - 1"
    assert str((h + w) // 2) == "floor((H + W)/2)"
    assert str(h // 8) == "floor(H/8)"
    assert str((h + 7) // 8) == "ceil(H/8)"
    assert str((h + 6) // 8) == "floor((H + 6)/8)"
    assert str((2 * h + w + 2) // 3) == "ceil((2*H + W)/3)"
    assert str(-h) == "-H"
    assert str(48 * h // 32) == "floor(3*H/2)"
    assert str((32 * h + 2 - 3) // 2 + 1) == "16*H"


@given(st.integers(-99, 99), st.integers(1, 64), st.integers(1, 99), st.integers(1, 64))
def test_quotients_and_remainders_without_rest(
    shift: int, divisor: int, h: int, times: int
) -> None:
    dim = OPEN["H"] * (divisor * times) + shift
    assert isinstance(dim, OpenDim)
    assert dim % divisor == shift % divisor
    if shift % divisor == 0:
        exact = dim / divisor
        assert (exact.evaluate({"H": h}) if isinstance(exact, OpenDim) else exact) == (
            h * times + shift // divisor
        )
    else:
        with pytest.raises(TypeError):
            dim / divisor


@given(st.integers(1, 64), st.integers(-80, 80), st.integers(-50, 300))
def test_sizes_of_inputs(factor: int, shift: int, size: int) -> None:
    dim = OPEN["H"] * factor + shift
    assert isinstance(dim, OpenDim)
    assert dim.is_input == (factor + shift > 0)
    values = [h for h in range(1, 500) if factor * h + shift == size]
    assert dim.solve(size) == (values[0] if values else None)
    if dim.is_input:
        assert input_dim(str(dim)) == dim


@given(st.integers(1, 9), st.integers(1, 9), st.integers(-9, 9))
def test_how_often_a_size_is_another_one(factor: int, count: int, shift: int) -> None:
    part = OPEN["H"] * factor + shift
    assert times(part * count, part) == count
    assert times(part * count + 1, part) == 0
    assert times(part, OPEN["W"]) == times(part, 3) == times(5, part) == 0
    assert times(6 * count, 6) == count


@pytest.mark.parametrize("text", ["", "batch size", "2*H*W", "-H", "32*H - 32", "0*H", "H + W"])
def test_other_texts_are_names(text: str) -> None:
    assert input_dim(text) == OpenDim.symbol(text)


def test_text_of_a_type() -> None:
    h, w = OPEN["H"], OPEN["W"]
    assert str(TensorType((3, h, w))) == "3xHxW"
    assert str(TensorType((3, h + 1, w))) == "3x(H + 1)xW"
    assert str(TensorType((3, 32 * h, 16 * w + 12))) == "3 x 32*H x (16*W + 12)"
    assert str(TensorType((3, (h + 1) // 2, w // 2 - 1))) == "3 x ceil(H/2) x (floor(W/2) - 1)"
    assert str(TensorType((3, h // 2 - w // 2))) == "3 x (floor(H/2) - floor(W/2))"
    assert str(TensorType((3, (h + 2) // 5, w))) == "3 x floor((H + 2)/5) x W"
