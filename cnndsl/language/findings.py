"""The findings of one elaboration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cnndsl.diagnostics import Diagnostic, Note, Span
from cnndsl.language.messages import Fatal, Problem


class Findings:
    """Collects diagnostics, but for `known` ones; an error that many instances meet counts once."""

    def __init__(self, known: Iterable[Diagnostic] = ()) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.failed = False
        self._places: set[tuple[str, Span | None]] = {(d.code, d.span) for d in known}

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a diagnostic unless the same was found at its place."""
        place = (diagnostic.code, diagnostic.span)
        if place not in self._places:
            self._places.add(place)
            self.diagnostics.append(diagnostic)

    def report(self, problem: Problem, trail: tuple[Note, ...]) -> None:
        """Add a problem with the calls that led to it. Raises it again if it is fatal."""
        self.failed = True
        if isinstance(problem, Fatal):
            raise problem
        if not problem.is_consequence:
            self.add(replace(problem.diagnostic, trail=trail))
