"""ONNX models in PyTorch. These tests exist only where it is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.onnx.support import TOLERANCE, compiled, model_of
from tests.operators.cases import CASES, Case

if importlib.util.find_spec("torch"):
    import torch

    from cnndsl.measure.onnx_torch import OnnxModule

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
    def test_computes_what_onnxruntime_does(case: Case):
        module = compiled(case.graph())
        inputs = {name: array.astype(np.float32) for name, array in case.inputs().items()}
        translated = OnnxModule(model_of(module))
        (wanted,) = module.run(inputs).values()
        with torch.inference_mode():
            (found,) = translated(*(torch.from_numpy(inputs[x]) for x in translated.inputs))
        scale = max(np.abs(wanted).max(), 1e-30)
        assert np.abs(found.numpy() - wanted).max() <= TOLERANCE * scale

    def test_other_operators_are_an_error():
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
        node = helper.make_node("Erf", ["x"], ["y"])
        model = helper.make_model(helper.make_graph([node], "g", [x], [x]))
        with pytest.raises(NotImplementedError, match="no translation of Erf"):
            OnnxModule(model)
