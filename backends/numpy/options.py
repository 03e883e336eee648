"""What a user may ask of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cnndsl.runtime.options import PRECISION, SizedOptions, option


@dataclass(frozen=True)
class ReferenceOptions(SizedOptions):
    """Options of the target `reference`. `dtype`: float32 or float64.

    `precision`: the format of stored numbers.
    """

    in_graph = frozenset({"bf16", "int8"})
    refused: ClassVar[Mapping[str, str]] = {
        "f16": "it is the arithmetic of a runtime; the target onnx has it"
    }

    dtype: str = option("float32")
    precision: str = option("f32", PRECISION, choices=("f32", "bf16", "int8"))
