"""What a user may ask of the target `torch`."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.runtime.options import CompileOptions, option


@dataclass(frozen=True)
class TorchOptions(CompileOptions):
    """Options of the target `torch`. `dtype`: float32 or float64."""

    dtype: str = option("float32")
