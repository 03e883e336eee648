"""What a user may ask of native code for CPUs."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.runtime.options import SizedOptions, option, wrong


@dataclass(frozen=True)
class CpuOptions(SizedOptions):
    """Options of the target `cpu`.

    `mcpu`: the CPU to make code for, by LLVM's name. `winograd`: whether convolutions may be
    computed with fewer products, less exactly. `tune`: how many variants of each kernel are timed
    on this machine at most, 0 leaves the choice to cost models.
    """

    mcpu: str = option("native", "The CPU to make code for.")
    winograd: bool = option(
        True,
        "Winograd convolutions, faster, less exact beside large numbers; off is exact there.",
        choices=("auto", "off"),
    )
    tune: int = option(0, "Variants of each kernel to time at most; the fastest is taken.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tune == 1:
            raise wrong("tune", "0 or a whole number from 2 on", 1)
