"""The documentation of the language holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import cnndsl
from cnndsl.diagnostics.codes import CATALOGUE
from cnndsl.language import limits
from cnndsl.language.functions import FUNCTIONS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGE = (ROOT / "docs" / "language.md").read_text("utf-8")
EXAMPLES = [
    pytest.param(page, example, id=f"{page.name}-{number}")
    for page in PAGES
    if page.name not in ("errors.md", "operators.md")
    for number, example in enumerate(
        re.findall(r"^```cnn\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_examples(page: Path, example: str) -> None:
    """They are right, but for warnings that their page shows."""
    if not re.search(r"^(network|block)\b", example, re.MULTILINE):
        example = f"network example {{\ninput image [3, 224, 224]\n{example}}}\n"
    shown = page.read_text("utf-8")
    assert [found for found in cnndsl.check(example) if f"warning[{found.code}]" not in shown] == []


def test_functions_and_limits_are_those_of_the_code() -> None:
    assert f"`{' '.join(sorted(FUNCTIONS))}`" in LANGUAGE
    for bound in ("FILE_BYTES", "NESTING", "LOOP_COUNT", "NODES", "STEPS"):
        assert f"{getattr(limits, bound):,}" in LANGUAGE


def test_the_page_of_codes_is_the_catalogue(golden: Callable[[Path, str], None]) -> None:
    entries = [
        f"## {code}: {entry.title}\n\n{entry.text.strip()}\n"
        for code, entry in sorted(CATALOGUE.items())
    ]
    about = "What `cnndsl explain CODE` says of every code.\n"
    golden(ROOT / "docs" / "errors.md", "\n".join(["# Error codes\n", about, *entries]))
