"""What is wrong, where, why, and what to do about it."""

from __future__ import annotations

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
