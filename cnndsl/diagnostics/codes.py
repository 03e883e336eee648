"""The catalogue: what each code means, for `cnndsl explain CODE`.

E01 syntax, E02 names and elaboration, E03 operators and shapes, E04 weights, E05 limits,
E06 files and calls, E07 backends, W02 warnings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A short title, and the explanation with an example, as Markdown."""

    title: str
    text: str


CATALOGUE: dict[str, Entry] = {}
