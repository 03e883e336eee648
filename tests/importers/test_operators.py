"""Each operator of ONNX in its forms: what it becomes, and that this computes the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.importers.cases import branches, functions, layers, shapes, spellings
from tests.importers.cases.case import Case
from tests.importers.support import compared, model, operators, saved

CASES = [
    *(*layers.CONVOLUTIONS, *layers.DENSE, *layers.PRODUCTS, *layers.POOLING),
    *(*layers.NORMALISATION, *functions.FUNCTIONS, *functions.JOINS, *shapes.MOVES, *shapes.SHAPES),
    *spellings.SPELLINGS,
    *branches.BRANCHES,
]


@pytest.mark.parametrize("given", CASES, ids=lambda given: given.id)
def test_operators(given: Case, tmp_path: Path) -> None:
    sizes = ",".join(map(str, given.shape))
    text = f"(float[N,{sizes}] x) => (float[] y) {{ {given.text} }}"
    path = saved(model(text, given.opset, **given.constants), tmp_path)
    if given.becomes.startswith("!"):
        from cnndsl.diagnostics import CnnError
        from cnndsl.importers.onnx.load import load

        with pytest.raises(CnnError) as caught:
            load(path)
        codes = {found.code for found in caught.value.diagnostics}
        assert codes == set(given.becomes[1:].split())
        return
    assert operators(compared(path)) == given.becomes.split()
