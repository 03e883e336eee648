"""NaN, infinities, negative zeros and denormals go through models as through the reference."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array
from tests.onnx.support import BACKEND, REFERENCE
from tests.operators.cases import CASES, Case

PLACES = (slice(None, None, 3), slice(1), slice(None))
"""Many special numbers, one alone, and nothing else."""
SPECIAL = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "-0": -0.0, "denormal": 1e-40}

EXCEPTIONS = {
    ("maxpool", "nan"): "onnxruntime's MaxPool leaves NaN out",
    ("global_maxpool", "nan"): "onnxruntime's GlobalMaxPool leaves NaN out",
    ("adaptive_maxpool", "nan"): "onnxruntime's MaxPool and ReduceMax leave NaN out",
    ("channel_max", "nan"): "onnxruntime's ReduceMax leaves NaN out",
    **dict.fromkeys(
        (("maxpool", "-inf"), ("global_maxpool", "-inf"), ("adaptive_maxpool", "-inf")),
        "onnxruntime's MaxPool and GlobalMaxPool start from the least number, -3.4e38",
    ),
    ("lrn", "nan"): "onnxruntime's LRN subtracts what leaves its window, NaN - NaN",
    ("lrn", "inf"): "onnxruntime's LRN subtracts what leaves its window, inf - inf",
    ("lrn", "-inf"): "onnxruntime's LRN subtracts what leaves its window, inf - inf",
    **{
        ("resize", name): "onnxruntime adds numbers times 0, or copies"
        for name in ("nan", "inf", "-inf")
    },
}
"""Faults of onnxruntime: where the reference or it has the special number, they may differ."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_special_numbers(case: Case):
    graph, values = case.graph(), case.values()
    modules = [target.compile(graph, values, CompileOptions()) for target in (REFERENCE, BACKEND)]
    for (name, special), places in product(SPECIAL.items(), PLACES):
        inputs = {key: array.astype(np.float32) for key, array in case.inputs().items()}
        for array in inputs.values():
            array.reshape(-1)[places] = special
        wanted, found = (module.run(inputs)["y"] for module in modules)
        differ = _differ(wanted, found)
        if (case.operator.name, name) in EXCEPTIONS and case.operator.name == "lrn":
            differ &= ~np.isnan(found)
        elif (case.operator.name, name) in EXCEPTIONS:
            differ &= np.isfinite(wanted) & np.isfinite(found)
        assert not differ.any(), (name, wanted[differ][:3], found[differ][:3])


def _differ(wanted: Array, found: Array) -> Array:
    """Where one is no number and the other another, or numbers are not close."""
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-30)
    with np.errstate(invalid="ignore"):
        same = (wanted == found) | (np.isnan(wanted) & np.isnan(found))
        close = np.abs(wanted.astype(np.float64) - found) <= 1e-5 * scale
    result: Array = ~(same | close)
    return result
