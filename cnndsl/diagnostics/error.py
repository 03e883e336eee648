"""The one exception of what a user can get wrong."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.diagnostics.diagnostic import Diagnostic, Note
from cnndsl.diagnostics.render import text


class CnnWarning(UserWarning):
    """A remark on what a call was given; the command shows it as a finding instead."""


class CnnError(Exception):
    """Every error that a user can cause; carries all the diagnostics of the attempt.

    `usage` tells wrong calls, missing files and unreadable inputs (exit code 2) from findings
    in a network (exit code 1).
    """

    def __init__(self, diagnostics: Sequence[Diagnostic], *, usage: bool = False):
        self.diagnostics = tuple(diagnostics)
        self.usage = usage
        super().__init__("\n".join(str(d) for d in self.diagnostics))

    def __str__(self) -> str:
        """All diagnostics with their lines of source and hints, as the command shows them."""
        return text(self.diagnostics)

    @classmethod
    def of(
        cls,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        notes: Sequence[str] = (),
        file: str | None = None,
    ) -> CnnError:
        """An error outside any `.cnn` text: a file, an option, an array."""
        remarks = tuple(Note(text) for text in notes)
        return cls([Diagnostic(code, message, hint=hint, notes=remarks, file=file)], usage=True)
