"""The CUDA text of a program: the parts of the device folder, then its kernels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from cnndsl.backends.cuda.lower import Step

PRIMITIVES = "primitives"
PARTS = ("base", "steps", "outputs", "windows", "reduce", "plain", "grouped", "gemm", "products")


def part(name: str) -> str:
    """A file of the device folder."""
    return resources.files("cnndsl.backends.cuda").joinpath(f"device/{name}.cuh").read_text("utf-8")


@cache
def shared_text() -> str:
    """What stands before all kernels."""
    return "\n".join(map(part, (PRIMITIVES, *PARTS)))


def kernels(steps: Iterable[Step]) -> dict[str, str]:
    """The texts of all different kernels by symbol."""
    return {step.symbol: step.text for step in steps}


def source(texts: Iterable[str]) -> str:
    """The whole text of some kernels."""
    return "\n".join([shared_text(), *texts])
