"""The CUDA text of a program: the parts of the device folder, then its kernels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cnndsl.backends.cuda.lower import Step

PRIMITIVES = ("primitives", "warpgroup")
PARTS = ("base", "steps", "outputs", "windows", "reduce", "plain", "grouped", "gemm", "products")


def part(name: str) -> str:
    """A file of the device folder."""
    return resources.files("cnndsl.backends.cuda").joinpath(f"device/{name}.cuh").read_text("utf-8")


@cache
def shared_text() -> str:
    """What stands before all kernels."""
    return "\n".join(map(part, (*PRIMITIVES, *PARTS)))


@dataclass(frozen=True)
class Source:
    """The CUDA text of a kernel, and the architecture that it is compiled for."""

    text: str
    arch: str


def kernels(steps: Iterable[Step]) -> dict[str, Source]:
    """The sources of all different kernels by symbol."""
    return {step.symbol: Source(step.text, _arch(step)) for step in steps}


def _arch(step: Step) -> str:
    arch = step.call.machine.arch
    return arch.specific if step.kernel.specific else arch.name


def source(kernels: Iterable[Source]) -> str:
    """The whole text of some kernels."""
    return "\n".join([shared_text(), *(kernel.text for kernel in kernels)])
