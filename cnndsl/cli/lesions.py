"""Error curves of networks without some units: a view of `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnndsl.cli.terminal import print_json, print_table, progress_bar, stage

if TYPE_CHECKING:
    from cnndsl.evaluation.classifier import Classifier
    from cnndsl.evaluation.data import Data
    from cnndsl.evaluation.lesions import Lesion
    from cnndsl.evaluation.views import Views
    from cnndsl.network import Network

WIDTH = 30
"""Characters of a bar for an error of 100 %."""


def show_lesions(
    network: Network,
    what: str | int,
    views: Views,
    read: Callable[[Sequence[Classifier]], Data],
    as_json: bool,
    given: Mapping[str, Any],
) -> None:
    """Evaluate without some units, and print a row for each time. Raises CnnError."""
    from cnndsl.evaluation.lesions import lesions

    with stage("lesions") as facts, progress_bar() as progress:
        found = list(lesions(network, what, views, read, progress=progress, **given))
        facts.append(f"{len(found) - 1} times, {found[0].report.images} images")
    if as_json:
        print_json({"network": network.name, "lesions": [row.as_dict() for row in found]})
    else:
        _print(found)


def _print(found: Sequence[Lesion]) -> None:
    """What was taken out, of several the one that is new, and the error."""
    whole = 1 - found[0].report.top1
    rows = []
    for row in found:
        error = 1 - row.report.top1
        loss = row.report.loss
        rows.append(
            [
                str(len(row.deleted)),
                row.deleted[-1] if row.deleted else "nothing",
                f"{error:.2%}",
                f"{error - whole:+.2%}",
                "" if loss is None else f"{loss:.4f}",
                "█" * round(WIDTH * error),
            ]
        )
    head = ["units", "without", "top-1 error", "change", "loss", ""]
    print_table([head, *rows], numbers=(0, 2, 3, 4))
