"""The tables of docs/import.md are those of the code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cnndsl.importers.onnx.operators import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "import.md"


def test_the_tables_are_current(golden: Callable[[Path, str], None]) -> None:
    head, rest = PAGE.read_text("utf-8").split("--update-golden -->\n")
    tail = rest.partition("<!-- end of operators -->")[2]
    tables = []
    for title, family in FAMILIES.items():
        rows = [f"| {name} | {(read.__doc__ or '').strip()} |" for name, read in family.items()]
        tables.append("\n".join([f"## {title}", "", "| ONNX | here |", "|---|---|", *rows]))
    made = "\n\n".join(tables)
    golden(PAGE, f"{head}--update-golden -->\n\n{made}\n\n<!-- end of operators -->{tail}")
