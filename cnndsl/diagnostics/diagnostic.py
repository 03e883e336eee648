"""What is wrong, where, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cnndsl.diagnostics.span import Span


class Severity(StrEnum):
    """How bad a finding is: an error stops a compilation, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Note:
    """A remark that belongs to a diagnostic, with the place it speaks of (or none)."""

    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `code` is explained by `cnndsl explain CODE`; its letter gives the severity.

    `notes` say where the operands came from; `trail` holds the calls that led to the place,
    outermost first. `file` is the one that a finding without a place is about.
    """

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None
    notes: tuple[Note, ...] = ()
    trail: tuple[Note, ...] = ()
    file: str | None = None

    @property
    def severity(self) -> Severity:
        """Error for codes E…, warning for codes W…."""
        return Severity.WARNING if self.code.startswith("W") else Severity.ERROR

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        return f"{where}{self.severity}[{self.code}]: {self.message}"


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
        from cnndsl.diagnostics.render import text

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
