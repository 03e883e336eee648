"""The findings of one elaboration."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.diagnostics import Diagnostic, Note
from cnndsl.language.problem import Fatal, Problem


class Findings:
    """Collects diagnostics; the same one, met in many instances of a block, counts once."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a diagnostic unless it is known."""
        known = {(d.code, d.message, d.span) for d in self.diagnostics}
        if (diagnostic.code, diagnostic.message, diagnostic.span) not in known:
            self.diagnostics.append(diagnostic)

    def report(self, problem: Problem, trail: tuple[Note, ...]) -> None:
        """Add a problem with the calls that led to it. Raises it again if it is fatal."""
        if isinstance(problem, Fatal):
            raise problem
        if not problem.is_consequence:
            self.add(replace(problem.diagnostic, trail=trail))
