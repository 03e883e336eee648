"""What a plan is asked for, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cnndsl.ir.graph import Node


def dense_bytes(node: Node) -> int:
    """Bytes of one sample of a node's result, dense. Raises ValueError if a size is open."""
    return node.type.bytes


def one_layout(node: Node) -> Hashable:
    """The layout of every tensor, if all are alike."""
    return None


@dataclass(frozen=True)
class Options:
    """What a backend can do, and how its tensors are laid out.

    `sample_bytes` gives the bytes of one sample of a node's result, halo and padding included.
    A tensor is [batch, channels, ...] with blocks of `channel_block` channels innermost; a view
    starts at a whole block. What lanes of the last block hold that have no channel does not matter.
    `layout` tells apart how tensors lie, whatever their channels, such as by their halos: one is
    written over another, or is it or a slice of it, only if both have the same. A flattened tensor
    only needs the bytes of what it flattens.

    With `interleaved` channels lie innermost at each position: the bytes of a channel slice, of
    which plans speak as if they were neighbours, are spread over the sample, and buffers are
    never shared in parts.

    Samples of a tensor may lie further apart than their bytes, as those of channel slices do in a
    batch over 1. `in_place_concat`: operands may be written straight into their slices.

    The tensors of the nodes in `external` lie in the caller's memory: no plan is made for them,
    nothing is written over them, and they are views of nothing.
    """

    batch: int = 1
    sample_bytes: Callable[[Node], int] = dense_bytes
    layout: Callable[[Node], Hashable] = one_layout
    channel_block: int = 1
    interleaved: bool = False
    in_place_concat: bool = True
    external: frozenset[str] = frozenset()

    def alike(self, a: Node, b: Node) -> bool:
        """Whether two tensors have the same layout."""
        return self.layout(a) == self.layout(b)


@dataclass(frozen=True)
class Buffer:
    """A part of the arena, in bytes, and the first and the last step of the schedule it serves.

    `name` is that of the first node written into it. `last` is the number of steps if the buffer
    holds an output of the network.
    """

    name: str
    offset: int
    size: int
    first: int
    last: int


class Use(StrEnum):
    """How a result gets to its place."""

    OWN = "own"
    """It is computed there."""

    VIEW = "view"
    """Its bytes are there already."""

    OVER = "in place"
    """It is computed there, over an operand that the node reads last."""

    FILL = "fill"
    """A concat copies some operands there; the others lie in their slices already."""

    APPEND = "append"
    """A concat begins with its first operand and copies the others, and fills the block of
    channels in which that ends."""


@dataclass(frozen=True)
class Place:
    """Where a node's result lies: the buffer, and the bytes of each of its samples.

    `operands` are the indices of those that a concat copies, or of the one that is written over.
    """

    buffer: Buffer
    offset: int
    size: int
    use: Use = Use.OWN
    operands: tuple[int, ...] = ()

    @property
    def copies(self) -> bool:
        """Whether the node is a concat that copies operands."""
        return self.use is not Use.OVER and bool(self.operands)


@dataclass(frozen=True)
class Region:
    """Bytes that one node writes, within each sample of a buffer, and when they are needed.

    `over` tells that they lie over bytes that the node reads last.
    """

    node: str
    buffer: Buffer
    offset: int
    size: int
    first: int
    last: int
    over: bool


@dataclass(frozen=True)
class Plan:
    """A schedule and the memory of its tensors.

    `places` holds every node but the external ones. A sample of a result starts at
    `address(name) + index * sample_stride(name)` in the arena.

    `live_bytes` has the bytes needed at each step, and those of the outputs after the last.
    """

    schedule: tuple[str, ...]
    batch: int
    buffers: tuple[Buffer, ...]
    places: Mapping[str, Place]
    regions: tuple[Region, ...]
    arena_bytes: int
    live_bytes: tuple[int, ...]

    @property
    def lower_bound_bytes(self) -> int:
        """No arena can be smaller: the bytes needed at the fullest step."""
        return max(self.live_bytes, default=0)

    @property
    def sum_bytes(self) -> int:
        """Bytes of all results together, as if each had memory of its own."""
        return self.batch * sum(place.size for place in self.places.values())

    @property
    def in_place_bytes(self) -> int:
        """Bytes of `sum_bytes` that take no memory because they lie in other results'."""
        own = (region for region in self.regions if not region.over)
        return self.sum_bytes - self.batch * sum(region.size for region in own)

    @property
    def concat_copy_bytes(self) -> int:
        """Bytes that concats still have to copy."""
        copied = (region for region in self.regions if self.places[region.node].copies)
        return self.batch * sum(region.size for region in copied)

    def use(self, name: str) -> Use:
        """How a node's result gets to its place; an external one is computed."""
        return self.places[name].use if name in self.places else Use.OWN

    def address(self, name: str) -> int:
        """Offset in the arena of the first sample of a node's result."""
        place = self.places[name]
        return place.buffer.offset + place.offset

    def sample_stride(self, name: str) -> int:
        """Bytes from one sample of a node's result to the next."""
        return self.places[name].buffer.size // self.batch
