"""What modules of generated kernels tell of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class KernelReport:
    """One kernel: how often a call launches it, and what it needs of a processor.

    `registers` of each thread, bytes of `shared` memory of each block, bytes of `spills` that
    move between registers and memory; `products` counts instructions for tensor cores.
    """

    name: str
    launches: int
    threads: int
    registers: int
    shared: int
    spills: int
    products: int


@runtime_checkable
class WithKernels(Protocol):
    """A module that shows its kernels."""

    @property
    def kernels(self) -> Sequence[KernelReport]:
        """All different kernels in the order in which they are first launched."""

    @property
    def source(self) -> str:
        """The text that the kernels were made from."""
