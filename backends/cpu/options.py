"""What a user may ask of native code for CPUs."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.diagnostics import CnnError
from cnndsl.runtime.options import PRECISION, SizedOptions, option, wrong

EMIT = ("module", "library")
"""What a compiled network can be written as."""


@dataclass(frozen=True)
class CpuOptions(SizedOptions):
    """Options of the target `cpu`.

    `mcpu`: the CPU to make code for, by LLVM's name. `triple`: the architecture and system to make
    code for, empty for this machine. `winograd`: whether convolutions may be
    computed with fewer products, less exactly. `precision`: the format of stored numbers; `auto` is
    bf16 where the CPU multiplies it. `tune`: how many variants of each kernel are timed
    on this machine at most, 0 leaves the choice to cost models. `emit`: what `save` writes, a
    `module` for Python or the folder of a `library` for C; `embed_weights` puts the weights into
    the latter.
    """

    in_graph = frozenset({"bf16", "int8"})

    mcpu: str = option("native", "The CPU to make code for.")
    triple: str = option("", "Another kind of machine to make code for, say aarch64-linux-gnu.")
    winograd: bool = option(
        True,
        "Winograd convolutions, faster, less exact beside large numbers; off is exact there.",
        choices=("auto", "off"),
    )
    precision: str = option("f32", PRECISION, choices=("f32", "bf16", "int8", "auto"))
    tune: int = option(0, "Variants of each kernel to time at most; the fastest is taken.")
    emit: str = option("module", choices=EMIT)
    embed_weights: bool = option(False, choices=("on", "off"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.emit not in EMIT:
            raise wrong("emit", " or ".join(EMIT), self.emit)
        if self.embed_weights and self.emit != "library":
            raise CnnError.of("E0615", "weights are embedded in libraries: emit is library then")
        if self.tune == 1:
            raise wrong("tune", "0 or a whole number from 2 on", 1)
