"""TVM is imported without Relax, and has it all the same."""

from __future__ import annotations

import pytest

from cnndsl.backends.cpu.load_tvm import load_tvm


def test_relax_is_imported_when_it_is_asked_for():
    tvm = load_tvm()
    assert tvm.relax.Function.__module__.startswith("tvm.relax")
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = tvm.nothing_such
