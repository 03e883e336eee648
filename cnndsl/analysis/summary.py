"""The tables of `cnndsl inspect` and `Network.summary`, through rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnndsl.analysis.cost import Cost, graph_cost
from cnndsl.analysis.receptive_field import Fields, receptive_fields
from cnndsl.analysis.tree import Block, Leaf, block_tree, result_types
from cnndsl.diagnostics.units import exact, si
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.text import operator_label

WIDEST = 10_000
"""Columns of a page that nothing has to fit into."""


def summary(graph: Graph, depth: int = 2) -> str:
    """The tables of `print_overview` as plain text, as wide as they need to be."""
    return plain(_parts(graph, depth))


def plain(parts: Iterable[Text | Table]) -> str:
    """What `print_parts` prints, without colours and as wide as it needs to be."""
    text = StringIO()
    page = Console(file=text, width=WIDEST, color_system=None, force_jupyter=False)
    print_parts(parts, page)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def print_overview(graph: Graph, depth: int, page: Console) -> None:
    """Print headline, blocks down to `depth`, stages if any are labelled, and totals."""
    print_parts(_parts(graph, depth), page)


def print_parts(parts: Iterable[Text | Table], page: Console) -> None:
    """Print tables and lines, an empty line between them.

    On a narrow page words are cut, visibly, but no numbers; below a certain width the lines are
    longer than the page.
    """
    width = page.width
    for index, part in enumerate(parts):
        if index:
            page.print()
        needed = _least_width(part) if isinstance(part, Table) else 0
        page.width = max(width, needed)
        page.print(part)
        page.width = width


def _parts(graph: Graph, depth: int) -> Iterator[Text | Table]:
    yield _headline(graph)
    yield _blocks(graph, depth)
    if graph.stages:
        yield _stages(graph)
    yield _totals(graph_cost(graph), len(graph))


def _headline(graph: Graph) -> Text:
    line = Text(graph.name, style="bold cyan")
    inputs = ", ".join(f"{name} {graph[name].type}" for name in graph.inputs)
    outputs = ", ".join(f"{name} {graph[node].type}" for name, node in graph.outputs.items())
    line.append(f"  {inputs} -> {outputs}", style="not bold default")
    for name, auxiliary in graph.auxiliaries.items():
        line.append(f", auxiliary {name} {graph[auxiliary.node].type}", style="not bold default")
    return line


def table_of(*columns: str) -> Table:
    """A table whose first two columns hold words, which may be cut, the others numbers."""
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold"
    )
    for column in columns[:2]:
        table.add_column(column, min_width=len(column) + 4)
    for column in columns[2:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _least_width(table: Table) -> int:
    """Columns of a page on which all numbers of a table are whole; rich may be off by one."""
    for column in table.columns[2:]:
        column.min_width = max(len(str(cell)) for cell in (column.header, *column.cells))
    return sum(column.min_width or 0 for column in table.columns) + 2 * len(table.columns)


def word(text: str, style: str = "") -> Text:
    """A cell on one line, with an ellipsis where the page is too narrow for it."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _blocks(graph: Graph, depth: int) -> Table:
    table = table_of("block", "kind", "nodes", "output", "params", "MACs", "bytes")
    names = [node.name for node in graph.nodes()]
    before = dict(zip(names[1:], names, strict=False))
    for guide, part in _rows(block_tree(graph).children, depth, ""):
        cost = part.cost
        table.add_row(
            word(guide, "dim").append(part.name, style="not dim"),
            word(_operator(graph, part.node, before))
            if isinstance(part, Leaf)
            else word(part.kind, "cyan"),
            "" if isinstance(part, Leaf) else str(sum(1 for _ in part.nodes())),
            ", ".join(map(str, result_types(graph, part))),
            exact(cost.params) if cost.params else "",
            si(cost.macs) if cost.macs != 0 else "",
            si(cost.bytes, "B"),
        )
    return table


def _operator(graph: Graph, node: Node, before: Mapping[str, str]) -> str:
    """An operator with its attributes, and its operands unless it is the one computed before."""
    operands = [producer.name for producer in graph.producers(node)]
    if not operands or operands == [before.get(node.name)]:
        return operator_label(node.op)
    if len(operands) > 2:
        return f"{operator_label(node.op)} of {len(operands)}"
    scope = node.name.rpartition(".")[0] + "."
    return f"{operator_label(node.op)} of {', '.join(x.removeprefix(scope) for x in operands)}"


def _rows(parts: list[Block | Leaf], depth: int, indent: str) -> Iterator[tuple[str, Block | Leaf]]:
    """All parts down to `depth` levels, each with the lines of the tree before its name."""
    if depth < 1:
        return
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        yield indent + ("└─ " if last else "├─ "), part
        if isinstance(part, Block):
            yield from _rows(part.children, depth - 1, indent + ("   " if last else "│  "))


def _stages(graph: Graph) -> Table:
    table = table_of("stage", "made by", "output", "receptive field", "stride", "padding")
    fields = receptive_fields(graph)
    for label, node in graph.stages:
        table.add_row(word(label), word(node), str(graph[node].type), *_field(fields[node]))
    return table


def _field(axes: Fields) -> tuple[str, str, str]:
    """Size, stride and padding."""
    if axes is None:
        return "all", "", ""
    return (
        short([str(axis.size) for axis in axes]),
        short([str(axis.stride) for axis in axes]),
        short([str(axis.padding) for axis in axes]),
    )


def short(numbers: list[str], times: str = "x") -> str:
    """One number if all axes agree."""
    return numbers[0] if len(set(numbers)) == 1 else times.join(numbers)


def _totals(cost: Cost, nodes: int) -> Text:
    parts = [f"{nodes} nodes", f"{exact(cost.params)} parameters"]
    if cost.unlearned:
        parts.append(f"{exact(cost.unlearned)} not learned")
    parts += [
        f"{exact(cost.macs)} MACs",
        f"{si(cost.weight_bytes, 'B')} of weights",
        f"{si(cost.bytes, 'B')} of activations",
    ]
    return Text(" · ".join(parts), style="bold")
