"""docs/operators.md and recipes.md are what the code says, and each example holds its operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from cnndsl.ir.operators import BY_NAME
from cnndsl.reference import Reference, page, recipes_page

PAGE = Path(__file__).parents[1] / "docs" / "operators.md"


def test_the_pages_are_current(golden: Callable[[Path, str], None]) -> None:
    golden(PAGE, page())
    golden(PAGE.with_name("recipes.md"), recipes_page())


def test_every_example_has_its_operator_and_no_warnings() -> None:
    for name, operator in BY_NAME.items():
        known = Reference(operator)
        assert re.search(rf"\b{name}\b", known.example), name
        assert not known.network.warnings, name
