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
    blocks = -(-whole.type.channels // options.channel_block)
    size, total = options.sample_bytes(part), options.sample_bytes(whole)
    block, rest = divmod(total, blocks)
    channels = part.type.channels
    if rest or size != -(-channels // options.channel_block) * block:
        return None
    fits = options.in_place_concat and options.alike(part, whole) and not options.interleaved
    return (channels // options.channel_block * block, size) if fits else None


def channel_offset(part: Node, whole: Node, start: int, options: Options) -> int | None:
    """Bytes before the channel `start` of `whole`; None if `part` cannot lie there as it is."""
    size, total = options.sample_bytes(part), options.sample_bytes(whole)
    channels = whole.type.channels
    same_layout = size * channels == total * part.type.channels and options.alike(part, whole)
    if not same_layout or start % options.channel_block or total * start % channels:
        return None
    return total * start // channels
