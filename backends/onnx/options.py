"""What a user may ask of ONNX models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.runtime.options import PRECISION, SizedOptions, option


@dataclass(frozen=True)
class OnnxOptions(SizedOptions):
    """Options of the target `onnx`.

    `opset`: the operator set that models are stamped with, None for the oldest that will do.
    `precision`: the format of the model's numbers.
    """

    in_graph = frozenset({"f16", "int8"})
    refused: ClassVar[Mapping[str, str]] = {
        "bf16": "onnxruntime has no bf16 kernels for CPUs; f16 is for GPUs, int8 for both"
    }

    opset: int | None = option(None, "ONNX opset; by default the oldest that will do.", least=11)
    precision: str = option("f32", PRECISION, choices=("f32", "f16", "int8"))
