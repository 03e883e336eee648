"""The light models that come with onnx: real networks, whose weights ConstantOfShape makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from cnndsl.backends.onnx import BACKEND as ONNX
from tests.importers.support import compared, operators, saved

FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"
CONVOLUTIONS = {"squeezenet": 26, "shufflenet": 49}
"""Nodes called Conv of the smallest models."""


def with_numbers(proto: ModelProto) -> ModelProto:
    """The model with random weights in the place of constant ones."""
    shapes = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    random = np.random.default_rng(0)
    kept = []
    for node in proto.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = shapes[node.input[0]]
        spread = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
        array = (random.standard_normal(shape) * spread).astype(np.float32)
        name = node.output[0]
        if "var" in name or "riv" in name:
            array = np.abs(array) + np.float32(0.5)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    return proto


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_networks_compute_what_they_did(name: str, tmp_path: Path) -> None:
    proto = with_numbers(onnx.load(FOLDER / f"light_{name}.onnx"))
    found = compared(saved(proto, tmp_path), batch=1, backend=ONNX)
    assert operators(found).count("conv") == CONVOLUTIONS[name]
