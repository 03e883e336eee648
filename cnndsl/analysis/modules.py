"""The blocks of a network as papers print them: one row for each, its filters in columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cnndsl.analysis.layers import Layer, has_weights, layers, weighted_depth
from cnndsl.analysis.tree import Block, Leaf, block_tree, result_types
from cnndsl.ir.attributes import Sizes
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.types import TensorType

PROJECTION = "pool proj"


@dataclass(frozen=True)
class Module:
    """One row; None where there is no such thing, and for MACs that an open size decides.

    `kernel` and `stride` are those of the only window in it. `depth` counts layers with weights on
    the longest path inside. `filters` has, by column, the filters of its convolutions and the units
    of its fully connected layers in order of execution, and nothing if there is one of them: that
    has as many as `outputs` have channels.
    """

    name: str
    kind: str
    kernel: Sizes | None
    stride: Sizes | None
    outputs: tuple[TensorType, ...]
    depth: int
    filters: dict[str, list[int]]
    params: int
    macs: int | None


def modules(graph: Graph, depth: int = 1) -> list[Module]:
    """A row for each block `depth` levels below the network, and for each layer above that level.

    Columns of filters are those of Szegedy et al., Going deeper with convolutions (2015), table 1:
    `#3x3` for convolutions of 3 by 3; `#3x3 reduce` for those of 1 by 1 that one of 3 by 3 reads,
    `#3x3 expand` if most of them have more filters than channels; `pool proj` for those of 1 by 1
    that read a pool; `dw` behind depthwise ones; `#fc` for units.
    """
    rows = {layer.name: layer for layer in layers(graph)}
    parts = list(_parts(block_tree(graph).children, depth))
    owner = {node.name: k for k, part in enumerate(parts) for node in part.nodes()}
    inside: list[list[Layer]] = [[] for _ in parts]
    for name, layer in rows.items():
        inside[owner[name]].append(layer)
    depths = _depths(graph, owner)
    columns = _columns(graph, owner, {layer.name: layer for part in inside for layer in part})
    return [
        _module(graph, part, found, depths[k], columns)
        for k, (part, found) in enumerate(zip(parts, inside, strict=True))
        if found
    ]


def whole(graph: Graph, rows: Iterable[Module]) -> Module:
    """The last row: what all of them cost together, and the depth of the network."""
    outputs = tuple(graph[name].type for name in graph.outputs.values())
    costs = [row.macs for row in rows]
    macs = None if None in costs else sum(cost or 0 for cost in costs)
    params = sum(row.params for row in rows)
    return Module("total", "", None, None, outputs, weighted_depth(graph), {}, params, macs)


def _parts(parts: Sequence[Block | Leaf], depth: int) -> Iterator[Block | Leaf]:
    for part in parts:
        if isinstance(part, Block) and depth > 1:
            yield from _parts(part.children, depth - 1)
        else:
            yield part


def _module(
    graph: Graph, part: Block | Leaf, found: Sequence[Layer], depth: int, columns: dict[str, str]
) -> Module:
    windows = [layer for layer in found if layer.kernel]
    kernel, stride = (windows[0].kernel, windows[0].stride) if len(windows) == 1 else (None, None)
    named = [layer for layer in found if layer.name in columns]
    filters: defaultdict[str, list[int]] = defaultdict(list)
    for layer in named if len(named) > 1 else ():
        filters[columns[layer.name]].append(layer.filters or 0)
    kind = found[0].kind if len(found) == 1 else part.kind
    return Module(
        part.path, kind, kernel, stride, tuple(result_types(graph, part)), depth, dict(filters),
        part.cost.params, part.cost.macs,
    )  # fmt: skip


def _depths(graph: Graph, owner: dict[str, int]) -> defaultdict[int, int]:
    """The depth of each part by itself."""
    behind: dict[str, int] = {}
    depths: defaultdict[int, int] = defaultdict(int)
    for node in graph.nodes():
        k = owner[node.name]
        before = (behind[p.name] for p in graph.producers(node) if owner[p.name] == k)
        behind[node.name] = max(before, default=0) + sum(has_weights(p.op) for p in node.parts)
        depths[k] = max(depths[k], behind[node.name])
    return depths


def _columns(graph: Graph, owner: dict[str, int], found: dict[str, Layer]) -> dict[str, str]:
    """The column of each layer with filters or units, by its name."""
    windows: dict[str, Layer] = {}
    before: dict[str, Layer] = {}
    for node in graph.nodes():
        layer = found.get(node.name)
        front = _in_front(graph, node, owner, windows)
        if front:
            before[node.name] = front
        if layer and (layer.kernel or layer.filters):
            windows[node.name] = layer
        elif front:
            windows[node.name] = front
    columns = {name: _column(layer) for name, layer in found.items() if layer.filters}
    small: defaultdict[str, list[Layer]] = defaultdict(list)
    for name, front in before.items():
        if name not in columns:
            continue
        if _is_pointwise(found[name]) and front.kernel and front.filters is None:
            columns[name] = PROJECTION
        elif _is_pointwise(front) and found[name].kernel and not _is_pointwise(found[name]):
            small[_column(found[name])].append(front)
    for column, fronts in small.items():
        channels = sum(front.inputs[0].channels for front in fronts)
        word = "reduce" if sum(front.filters or 0 for front in fronts) <= channels else "expand"
        for front in fronts:
            columns[front.name] = f"{column} {word}"
    return columns


def _in_front(
    graph: Graph, node: Node, owner: dict[str, int], windows: dict[str, Layer]
) -> Layer | None:
    """The layer with a window, or fully connected, that the node reads in its own part."""
    producers = graph.producers(node)
    if len(producers) != 1 or owner[producers[0].name] != owner[node.name]:
        return None
    return windows.get(producers[0].name)


def _is_pointwise(layer: Layer) -> bool:
    return bool(layer.kernel) and bool(layer.filters) and set(layer.kernel or ()) == {1}


def _column(layer: Layer) -> str:
    words = ["x".join(map(str, layer.kernel))] if layer.kernel else []
    if not words or layer.kind != "conv":
        words.append(layer.kind)
    if layer.filters == layer.groups != 1:
        words.append("dw")
    return "#" + " ".join(words)
