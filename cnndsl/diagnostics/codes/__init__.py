"""The catalogue: what each code means, for `cnndsl explain CODE`.

E01 syntax, E02 names and elaboration, E03 operators and shapes, E04 weights, E05 limits,
E06 files and calls, E07 backends, E08 models of other formats, E09 number formats,
W02 warnings, W03 lints.
"""

from __future__ import annotations

from cnndsl.diagnostics.codes import (
    backends,
    files,
    importing,
    limits,
    lints,
    measuring,
    names,
    operators,
    precision,
    syntax,
    warnings,
    weights,
)
from cnndsl.diagnostics.codes.entry import Entry

__all__ = ["CATALOGUE", "Entry"]

CATALOGUE: dict[str, Entry] = {
    **syntax.ENTRIES,
    **names.ENTRIES,
    **operators.ENTRIES,
    **weights.ENTRIES,
    **limits.ENTRIES,
    **files.ENTRIES,
    **backends.ENTRIES,
    **measuring.ENTRIES,
    **importing.ENTRIES,
    **precision.ENTRIES,
    **warnings.ENTRIES,
    **lints.ENTRIES,
}
