"""Backends that can time several kernels for the same task and keep the fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cnndsl.ir.graph import Graph
from cnndsl.runtime.options import CompileOptions, Progress

__all__ = ["Progress", "Tuned", "Tuner"]


@dataclass(frozen=True)
class Tuned:
    """A kernel whose variants were timed: the first node that it computes, and its launches.

    `default` is what would be taken without measurements, `fastest` what will be from now on.
    Seconds are those of one launch.
    """

    node: str
    launches: int
    variants: int
    default: str
    default_seconds: float
    fastest: str
    fastest_seconds: float


@runtime_checkable
class Tuner(Protocol):
    """A backend that chooses kernels by measurement."""

    def tune(self, graph: Graph, options: CompileOptions, progress: Progress) -> tuple[Tuned, ...]:
        """Time the variants of the kernels that a compilation would take, and keep the fastest.

        Of each kernel `options.tune` variants at most are timed, `VARIANTS` of
        `cnndsl.runtime.options` if that is 0. Later compilations take the fastest. Raises CnnError
        if nothing can be measured here.
        """
