"""Offsets and positions in the encodings of the protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.editor.positions import Lines, Position

TEXT = st.text(st.sampled_from("ab\n\ré\N{EURO SIGN}\N{MUSICAL SYMBOL G CLEF}\u2028\ud800"))


@given(TEXT, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_positions_lead_back_to_their_offsets(text: str, encoding: str) -> None:
    lines = Lines(text, encoding)
    for offset in range(len(text) + 1):
        inside_break = text[offset - 1 : offset + 1] == "\r\n"
        assert lines.offset(lines.position(offset)) == offset - inside_break


@pytest.mark.parametrize(("encoding", "units"), [("utf-8", 9), ("utf-16", 4), ("utf-32", 3)])
def test_characters_count_as_units(encoding: str, units: int) -> None:
    lines = Lines("x\né\N{EURO SIGN}\N{MUSICAL SYMBOL G CLEF}y", encoding)
    assert lines.position(5) == Position(1, units)
    assert lines.offset(Position(1, 99)) == 6
    assert lines.offset(Position(9, 0)) == 6
