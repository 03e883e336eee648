"""Orders in which a graph can run, and how long each tensor is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import networkx as nx

from cnndsl.ir.graph import Graph, Node

Schedule = tuple[str, ...]


def schedules(graph: Graph, sample_bytes: Callable[[Node], int]) -> Iterator[Schedule]:
    """Topological orders worth a try, the one in which the network is written first."""
    sizes = {node.name: sample_bytes(node) for node in graph.nodes()}
    yield tuple(sizes)
    yield frugal(graph, sizes)
    yield depth_first(graph, sizes)


def frugal(graph: Graph, sizes: dict[str, int]) -> Schedule:
    """Always the node that is ready and adds least to the live bytes, else the one written first.

    A node adds its result and frees the operands that nothing else waits for.
    """
    rank = {name: index for index, name in enumerate(sizes)}
    sources = {name: set(graph.nx.predecessors(name)) for name in sizes}
    readers = {name: set(graph.nx.successors(name)) for name in sizes}
    missing = {name: len(operands) for name, operands in sources.items()}

    def growth(name: str) -> tuple[int, int]:
        freed = sum(sizes[operand] for operand in sources[name] if len(readers[operand]) == 1)
        return sizes[name] - freed, rank[name]

    order = []
    ready = [name for name in sizes if not missing[name]]
    while ready:
        chosen = min(ready, key=growth)
        ready.remove(chosen)
        order.append(chosen)
        for operand in sources[chosen]:
            readers[operand].discard(chosen)
        for reader in graph.nx.successors(chosen):
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    return tuple(order)


def depth_first(graph: Graph, sizes: dict[str, int]) -> Schedule:
    """One branch after the other, the one that needs most memory on its way first.

    The need of a tree is that of Sethi and Ullman (1970), The generation of optimal code for
    arithmetic expressions, with bytes for registers; branches that share a part count it twice.
    """
    need: dict[str, int] = {}

    def by_need(names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: need[name] - sizes[name], reverse=True)

    for name in sizes:
        held = peak = 0
        for operand in by_need(graph.nx.predecessors(name)):
            peak = max(peak, held + need[operand])
            held += sizes[operand]
        need[name] = max(peak, held + sizes[name])

    backwards = graph.nx.reverse(copy=False)
    order: dict[str, None] = {}
    for name in sizes:
        if not graph.nx.out_degree(name):
            walk = nx.dfs_postorder_nodes(backwards, name, sort_neighbors=by_need)
            order.update(dict.fromkeys(walk))
    return tuple(order)


def last_uses(graph: Graph, schedule: Schedule) -> dict[str, int]:
    """The step that reads each node's result last; the number of steps for outputs."""
    last = {}
    step_of = {name: step for step, name in enumerate(schedule)}
    for name, step in step_of.items():
        last[name] = max((step_of[reader] for reader in graph.nx.successors(name)), default=step)
    kept = [*graph.outputs.values(), *(aux.node for aux in graph.auxiliaries.values())]
    return last | dict.fromkeys(kept, len(schedule))
