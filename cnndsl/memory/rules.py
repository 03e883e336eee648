"""Which operators can share memory with their operands."""

from __future__ import annotations

from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Again, Dropout, Flatten, Identity, Slice
from cnndsl.memory.model import Options


def overwritable(graph: Graph, node: Node, options: Options) -> list[int]:
    """The operands whose element i is last read when element i of the result is written.

    These are the operands of the joins that follow the core, and all if the core can be.
    """
    operands = graph.producers(node)
    first = 0 if node.op.in_place else len(node.core.inputs)
    return [
        index
        for index in range(first, len(operands))
        if operands[index].type == node.type and options.alike(operands[index], node)
    ]


def view_offset(graph: Graph, node: Node, options: Options) -> int | None:
    """Where in its operand's sample the result lies as it is, in bytes; None if nowhere."""
    if node.is_fused:
        return None
    match node.op:
        case Slice():
            (x,) = graph.producers(node)
            return channel_offset(node, x, node.op.start, options)
        case Identity() | Dropout() | Again():
            (x,) = graph.producers(node)
            same_order = options.alike(x, node)
        case Flatten():
            (x,) = graph.producers(node)
            same_order = options.channel_block == 1 or x.type.elements == x.type.channels
        case _:
            return None
    fits = same_order and options.sample_bytes(node) == options.sample_bytes(x)
    return 0 if fits else None


def last_block(part: Node, whole: Node, options: Options) -> tuple[int, int] | None:
    """The bytes of the block that `part` ends inside of if it lies where `whole` begins.

    None at all where it ends with a block; None if it cannot lie there.
    """
    block = _block_bytes(part, whole, options)
    if block is None or not options.in_place_concat or options.interleaved:
        return None
    size = options.sample_bytes(part)
    return part.type.channels // options.channel_block * block, size


def last_lanes(node: Node, options: Options) -> int:
    """How many lanes of its last block a tensor has channels in."""
    return (node.type.channels - 1) % options.channel_block + 1


def channel_offset(part: Node, whole: Node, start: int, options: Options) -> int | None:
    """Bytes before the channel `start` of `whole`; None if `part` cannot lie there as it is.

    It may end inside a block: what the other lanes hold does not matter.
    """
    if start % options.channel_block:
        return None
    size, total = options.sample_bytes(part), options.sample_bytes(whole)
    channels = whole.type.channels
    if size * channels == total * part.type.channels and options.alike(part, whole):
        return None if total * start % channels else total * start // channels
    block = None if options.interleaved else _block_bytes(part, whole, options)
    return None if block is None else start // options.channel_block * block


def _block_bytes(part: Node, whole: Node, options: Options) -> int | None:
    """The bytes of a block of channels, if two tensors lie alike and are made of whole blocks."""
    own, blocks = (-(-n.type.channels // options.channel_block) for n in (part, whole))
    block, rest = divmod(options.sample_bytes(whole), blocks)
    fits = not rest and options.sample_bytes(part) == own * block and options.alike(part, whole)
    return block if fits else None
