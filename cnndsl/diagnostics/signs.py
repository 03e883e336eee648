"""Signs in the place of control codes, as names of files may hold: terminals obey these."""

from __future__ import annotations

SIGN = "\N{REPLACEMENT CHARACTER}"

_CODES = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), SIGN)
_IN_A_TEXT = {code: sign for code, sign in _CODES.items() if chr(code) not in "\n\t"}


def shown(text: str) -> str:
    """A text whose only control codes are line breaks and tabs."""
    return text.translate(_IN_A_TEXT)


def shown_cell(text: str) -> str:
    """A text on one line, without control codes."""
    return text.translate(_CODES)
