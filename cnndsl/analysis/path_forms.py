"""The lengths of paths as bars of text, Markdown, CSV and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from cnndsl.analysis.layer_forms import latex, markdown, separated
from cnndsl.analysis.paths import Paths
from cnndsl.diagnostics.table import table_lines

BARS = 60
"""Rows of text at most; more lengths share them."""
WIDTH = 40
"""Characters of the longest bar."""
DIGITS = 21
"""Longer numbers are rounded, for people."""

Gradients = Mapping[int, float]
"""The magnitude of the gradient of a path, by its length."""


def as_text(found: Paths, gradients: Gradients | None = None) -> str:
    """What is known of all paths, and a bar for each length."""
    lines = [f"{_count(found.total)} paths from the inputs to the outputs"]
    if found.total:
        low, high = found.most
        lines += [
            f"{found.lengths[0]} to {found.lengths[-1]} layers with weights, in the mean "
            f"{found.mean:.2f}, standard deviation {found.deviation:.2f}",
            f"95 % of all paths have {low} to {high}",
        ]
    if found.survivals:
        lines.append(
            f"stochastic depth: {found.expected_units:.2f} of {len(found.survivals)} units "
            "are expected in a step"
        )
    if found.total:
        lines += ["", *_bars(found, gradients)]
    return "".join(f"{line}\n" for line in lines)


def as_markdown(found: Paths, gradients: Gradients | None = None) -> str:
    """A table of GitHub Flavored Markdown."""
    return markdown(_shown(found, gradients))


def as_csv(found: Paths, gradients: Gradients | None = None) -> str:
    """Exact counts, shares from 0 to 1."""
    rows: list[list[str | int | float | None]] = [[*_head(gradients)]]
    for length in found.lengths:
        count = found.counts[length]
        more = [gradients.get(length)] if gradients is not None else []
        rows.append([length, count, count / found.total, *more])
    return separated(rows)


def as_latex(found: Paths, gradients: Gradients | None = None) -> str:
    """A tabular that needs no package."""
    return latex(_shown(found, gradients))


FORMS: dict[str, Callable[[Paths, Gradients | None], str]] = {
    "text": as_text, "markdown": as_markdown, "csv": as_csv, "latex": as_latex,
}  # fmt: skip


def _head(gradients: Gradients | None) -> list[str]:
    return ["length", "paths", "share", *(["gradient"] if gradients is not None else [])]


def _shown(found: Paths, gradients: Gradients | None) -> list[list[str]]:
    return [_head(gradients), *(_row(found, [n], gradients) for n in found.lengths)]


def _bars(found: Paths, gradients: Gradients | None) -> list[str]:
    """A line for each length, or for each few of them, with a bar of its share."""
    step = -(-len(found.lengths) // BARS)
    groups = [found.lengths[i : i + step] for i in range(0, len(found.lengths), step)]
    largest = max(sum(found.counts[n] for n in group) for group in groups)
    rows = []
    for group in groups:
        eighths = round(8 * WIDTH * sum(found.counts[n] for n in group) / largest)
        bar = "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]
        rows.append([*_row(found, group, gradients), bar])
    head = [*_head(gradients), ""]
    return list(table_lines([head, *rows], range(len(head) - 1), None))


def _row(
    found: Paths, lengths: tuple[int, ...] | list[int], gradients: Gradients | None
) -> list[str]:
    count = sum(found.counts[n] for n in lengths)
    name = str(lengths[0]) if len(lengths) == 1 else f"{lengths[0]}-{lengths[-1]}"
    cells = [name, _count(count), f"{count / found.total:.2%}"]
    if gradients is not None:
        known = [gradients[n] for n in lengths if n in gradients]
        cells.append(f"{sum(known) / len(known):.2e}" if known else "")
    return cells


def _count(number: int) -> str:
    """A whole number with separators of thousands, or rounded."""
    if number < 10**DIGITS:
        return f"{number:,}"
    power = int(math.log10(number))
    return f"{number / 10**power:.3f}e{power}"
