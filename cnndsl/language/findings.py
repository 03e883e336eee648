"""The findings of one elaboration."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.diagnostics import Diagnostic, Note, Span
from cnndsl.language.problem import Fatal, Problem


class Findings:
    """Collects diagnostics; an error that many instances of a block meet counts once."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._places: set[tuple[str, Span | None]] = set()

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a diagnostic unless the same was found at its place."""
        place = (diagnostic.code, diagnostic.span)
        if place not in self._places:
            self._places.add(place)
            self.diagnostics.append(diagnostic)

    def report(self, problem: Problem, trail: tuple[Note, ...]) -> None:
        """Add a problem with the calls that led to it. Raises it again if it is fatal."""
        if isinstance(problem, Fatal):
            raise problem
        if not problem.is_consequence:
            self.add(replace(problem.diagnostic, trail=trail))
