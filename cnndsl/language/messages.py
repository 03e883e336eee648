"""Findings that end the evaluation of one statement, or of everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cnndsl.diagnostics import Diagnostic, Note, Span
from cnndsl.diagnostics.spelling import alike, did_you_mean
from cnndsl.language.foreign import counterpart, misspelt, remark


class Problem(Exception):
    """An error at a place; the step is given up, the next one goes on.

    `is_consequence` marks one that an earlier error may have caused, which is not shown.
    """

    def __init__(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        hint: str | None = None,
        notes: Sequence[Note] = (),
    ):
        super().__init__(message)
        self.is_consequence = False
        self.diagnostic = Diagnostic(code, message, span, hint, tuple(notes))


class Fatal(Problem):
    """A limit is exceeded; elaboration ends."""


class Consequence(Problem):
    """What stands here is wrong for a reason that is reported already."""

    def __init__(self, span: Span):
        super().__init__("", "", span)
        self.is_consequence = True


def meant(name: str, candidates: Iterable[str]) -> str | None:
    """A hint with what other frameworks call so, or what is spelt like it, or None."""
    known = set(candidates)
    if hint := _elsewhere(name, known):
        return hint
    own = max(alike(name, known).values(), default=0.0)
    foreign = misspelt(name, known)
    if foreign is not None and foreign[1] > own:
        return _elsewhere(foreign[0], known)
    return did_you_mean(name, known)


def _elsewhere(name: str, known: set[str]) -> str | None:
    """A hint for a name of another framework, spelt as it is there."""
    found = counterpart(name, known)
    return f"did you mean {found!r}?" if found else remark(name, known)
