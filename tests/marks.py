"""Which tests of a kind are for `make test-whole` alone."""

from __future__ import annotations

from typing import Any

import pytest


def whole(*values: Any) -> Any:
    """Parameters of a test that is one more of what others try, and slow."""
    return pytest.param(*values, marks=pytest.mark.whole)
