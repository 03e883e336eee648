"""What a user may ask of WebAssembly."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.runtime.options import CompileOptions, option


@dataclass(frozen=True)
class WasmOptions(CompileOptions):
    """Options of the target `wasm`; `winograd` is as for `cpu`.

    `threads`: how many the work is divided for where there are several, 4 without a number; with 1
    there is no code for several.
    """

    winograd: bool = option(
        True,
        "Winograd convolutions, faster, less exact beside large numbers; off is exact there.",
        choices=("auto", "off"),
    )
