"""`cnndsl inspect --size`: where the bytes of an artefact go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnndsl.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from cnndsl.runtime.module import Module

SHOWN = 8
"""Parts of a kind that have a row of their own."""


def show_sizes(path: str, module: Module, as_json: bool) -> None:
    """Print the bytes of all parts, those of a kind together, the largest first."""
    from dataclasses import asdict

    from cnndsl.diagnostics.units import si
    from cnndsl.runtime.sizes import Sized

    if not isinstance(module, Sized):
        raise click.UsageError(f"{path} does not tell its sizes; modules of the target cpu do")
    sizes = sorted(module.sizes(), key=lambda size: -size.bytes)
    if as_json:
        print_json([asdict(size) for size in sizes])
        return
    total = sum(size.bytes for size in sizes)
    rows = []
    for kind in dict.fromkeys(size.kind for size in sizes):
        own = [size for size in sizes if size.kind == kind]
        count = sum(size.bytes for size in own)
        rows.append([kind, si(count, "B"), f"{count / total:.1%}"])
        shown, rest = own[:SHOWN], own[SHOWN:]
        rows += [
            [f"  {size.name}", si(size.bytes, "B"), f"{size.bytes / total:.1%}"] for size in shown
        ]
        if rest:
            left = sum(size.bytes for size in rest)
            rows.append([f"  {len(rest)} more", si(left, "B"), f"{left / total:.1%}"])
    print_table([*rows, ["in all", si(total, "B"), ""]], numbers=(1, 2))
