"""Measurements as rows of text, from their plain data; one of them is one table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cnndsl.diagnostics.table import table_lines

MEGABYTE = 1e6


@dataclass(frozen=True)
class Table:
    """A head, rows, the indexes of the columns of numbers, and a size of each row for a bar."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Collection[int]
    sizes: Sequence[float]

    def lines(self) -> list[str]:
        """The head and the rows, aligned, as wide as they are."""
        return list(table_lines([self.head, *self.rows], self.numbers, None))


def runtimes(data: Mapping[str, Any]) -> Table:
    """The runtimes of a contest; their size is the median time."""
    head = ["", "min ms", "p50 ms", "p90 ms", "p99 ms", "samples/s", "calls", "ratio", "peak MB",
            "weights MB", "rest MB"]  # fmt: skip
    rows = [
        [
            row["name"],
            *(f"{row[f'{key}_ms']:.3f}" for key in ("min", "p50", "p90", "p99")),
            f"{row['samples_per_second']:.1f}",
            str(row["calls"]),
            f"{row['ratio']:.2f}",
            *(f"{row[f'{key}_bytes'] / MEGABYTE:.1f}" for key in ("peak", "weight", "working")),
        ]
        for row in data["runtimes"]
    ]
    return Table(head, rows, range(1, len(head)), [row["p50_ms"] for row in data["runtimes"]])


def layers(data: Mapping[str, Any]) -> Table:
    """The steps of a module; their size is their time."""
    head = ["layer", "operator", "kernel", "shape", "ms", "GFLOP/s", "GB/s", "bound", "reached"]
    rows = [
        [
            *(row["node"], row["op"], row["family"]),
            "x".join(map(str, row["shape"])),
            f"{row['ms']:.3f}",
            f"{row['gflops']:.1f}" if row["macs"] else "",
            f"{row['gb_per_second']:.1f}",
            row["bound"] or "",
            "" if row["share"] is None else f"{row['share']:.0%}",
        ]
        for row in data["layers"]
    ]
    return Table(head, rows, (4, 5, 6, 8), [row["ms"] for row in data["layers"]])


def errors(data: Mapping[str, Any]) -> Table:
    """The rows of a comparison; what is out of tolerance is marked by !.

    Their size is the largest of their errors.
    """

    def cells(row: Mapping[str, Any], target: str) -> list[str]:
        if target not in row["errors"]:
            return ["", "", ""]
        error, snr = row["errors"][target], row["snr_db"][target]
        mark = " " if error <= data["tolerance"] else "!"
        return [
            f"{error:.1e}{mark}",
            f"{row['local_errors'][target]:.1e}",
            "" if snr is None else f"{snr:.0f}",
        ]

    targets = data["targets"]
    rows = [
        [
            *(row["name"], row["op"], "x".join(map(str, row["shape"]))),
            *chain(*(cells(row, target) for target in targets)),
        ]
        for row in data["rows"]
    ]
    figures = chain(*([f"{target} ", "local", "dB"] for target in targets))
    head = ["layer", "operator", "shape", *figures]
    sizes = [max(row["errors"].values(), default=0.0) for row in data["rows"]]
    return Table(head, rows, range(3, len(head)), sizes)
