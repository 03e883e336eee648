"""Networks that do what a lint warns of, because their papers do, say so in their texts."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnndsl
from cnndsl.language.sources import zoo_folder


@pytest.mark.parametrize("path", sorted(zoo_folder().glob("*.cnn")), ids=lambda path: path.stem)
def test_published_networks_have_no_lints(path: Path) -> None:
    assert cnndsl.check(path, select=["W"]) == []
