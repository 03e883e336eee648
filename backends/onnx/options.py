"""What a user may ask of ONNX models."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.runtime.options import SizedOptions, option


@dataclass(frozen=True)
class OnnxOptions(SizedOptions):
    """Options of the target `onnx`.

    `opset`: the operator set that models are stamped with, None for the oldest that will do.
    """

    opset: int | None = option(None, "ONNX opset; by default the oldest that will do.", least=11)
