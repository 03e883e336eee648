"""Damaged models are read rightly or refused clearly, and soon."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.onnx_models import SLOWEST, attempts


def test_damaged_models(tmp_path: Path) -> None:
    results = list(attempts(80, 20_000, tmp_path))
    assert {"E0801", "E0802", "read, and right"} <= {outcome for outcome, _ in results}
    assert max(seconds for _, seconds in results) < SLOWEST
