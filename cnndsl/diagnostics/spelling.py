"""Which of the names that there are may be meant by one that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

ALIKE = 0.75
"""Share of letters in common: about one in four may be wrong."""
MOST = 3


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A hint with those candidates that are spelt most alike, or None if none is nearly so.

    Longer words that only hold the name, or parts of it, are not meant by it.
    """
    found = alike(name, candidates)
    if not found:
        return None
    best = max(found.values())
    nearest = sorted(known for known, score in found.items() if score == best)[:MOST]
    return f"did you mean {' or '.join(map(repr, nearest))}?"


def alike(name: str, candidates: Iterable[str]) -> dict[str, float]:
    """The candidates that are spelt nearly so, and the shares of letters in common."""
    longer = max(1, len(name) // 5)
    matcher = SequenceMatcher(b=name)
    found: dict[str, float] = {}
    for known in candidates:
        if abs(len(known) - len(name)) <= longer:
            matcher.set_seq1(known)
            if matcher.quick_ratio() >= ALIKE and (score := matcher.ratio()) >= ALIKE:
                found[known] = score
    return found
