"""What modules tell of their inside, where their target can: layers, their times and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cnndsl.ir.graph import Graph
from cnndsl.ir.types import FLOAT32
from cnndsl.runtime.module import Array


@dataclass(frozen=True)
class Layer:
    """One step of a program: the node that it computes, and what that takes.

    `op` is the operator, `family` the kind of kernel. `shape` is that of the result, batch
    first; `macs` counts multiply-adds of the whole batch, `read` and `written` bytes of float32
    operands, weights and results. `format` is that of the numbers that are multiplied.
    """

    node: str
    op: str
    family: str
    shape: tuple[int, ...]
    macs: int
    read: int
    written: int
    format: str = FLOAT32.name


@dataclass(frozen=True)
class Build:
    """How the code of a module was made.

    `functions` are all different ones, `hits` those of them that were in the cache; `fallbacks`
    counts steps for which there is no kernel but plain loops, `measured` the functions that were
    faster than what the cost models choose.
    """

    functions: int
    hits: int
    fallbacks: int
    measured: int = 0

    def __str__(self) -> str:
        built = self.functions - self.hits
        text = f"{built} functions built, {self.hits} from the cache, {self.fallbacks} fallbacks"
        return f"{text}, {self.measured} chosen by measurement" if self.measured else text


@dataclass(frozen=True)
class Peak:
    """What a machine can do at most: floating point operations and bytes read in a second.

    `products` are the operations in other formats than float32, a multiply-add counted as two.
    """

    flops: float
    bandwidth: float
    products: Mapping[str, float] = field(default_factory=dict)

    def operations(self, dtype: str) -> float:
        """Those of a format in a second; those of float32 where it was not measured."""
        return self.products.get(dtype, self.flops)


@runtime_checkable
class Layered(Protocol):
    """A module whose steps can be run one by one."""

    @property
    def layers(self) -> Sequence[Layer]:
        """The steps in the order in which they run."""

    @property
    def arena_bytes(self) -> int:
        """Memory for all intermediate tensors of one call."""

    def time_layers(self, arrays: Mapping[str, Array]) -> list[float]:
        """Seconds of each step in one pass over the first batch of checked arrays by input name."""


@runtime_checkable
class Gauged(Protocol):
    """A module that can tell what its machine reaches."""

    def measure_peak(self) -> Peak:
        """What this machine reaches on the module's threads."""


@runtime_checkable
class OnDevice(Protocol):
    """A module that runs on a device with memory of its own."""

    def run_on_device(self, addresses: Mapping[str, int]) -> None:
        """Compute one batch between buffers of the device, and wait for it.

        `addresses` are where inputs and outputs lie, by name; the module's own buffers, which
        hold what the last call put there, stand for others.
        """


@runtime_checkable
class Built(Protocol):
    """A module of generated code."""

    build: Build | None
    """None if the module was loaded from a file."""


@runtime_checkable
class Traceable(Protocol):
    """A module that can show what its nodes compute."""

    def trace(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The results [batch, *shape] by node name, in the order in which they are made.

        `arrays` are batched and checked, by input name. Nodes whose result is never there as a
        whole are left out.
        """


@runtime_checkable
class Portable(Protocol):
    """A module that knows the network that it was made from."""

    @property
    def graph(self) -> Graph:
        """A graph that computes the same, which any backend can compile."""
