"""Findings with a place in the source: spans, diagnostics, their catalogue and rendering."""

from cnndsl.diagnostics.diagnostic import Diagnostic, Note, Severity
from cnndsl.diagnostics.error import CnnError, CnnWarning
from cnndsl.diagnostics.span import Source, Span

__all__ = ["CnnError", "CnnWarning", "Diagnostic", "Note", "Severity", "Source", "Span"]
