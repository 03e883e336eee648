"""What a user may ask of the reference."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.runtime.options import SizedOptions, option


@dataclass(frozen=True)
class ReferenceOptions(SizedOptions):
    """Options of the target `reference`. `dtype`: float32 or float64."""

    dtype: str = option("float32")
