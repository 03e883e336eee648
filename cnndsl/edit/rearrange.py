"""A network without some parts, or with some in other places: its source, graph and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnndsl.diagnostics import CnnError, Source
from cnndsl.edit.network import Edited, graph_of, spliced
from cnndsl.edit.parts import delete, fail, is_under, swap
from cnndsl.edit.rounds import Text
from cnndsl.edit.weights import Heir
from cnndsl.format.formatter import format_source
from cnndsl.ir.graph import Graph
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import choose_network, load_unit
from cnndsl.language.locate import locate
from cnndsl.language.values import given_settings


def rearrange(
    spec: str,
    deletions: Sequence[str],
    swaps: Sequence[tuple[str, str]],
    *,
    output: Path,
    settings: Mapping[str, Any] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Edited:
    """Let parts of a network change places, then take parts out; all others keep their names.

    `deletions` and `swaps` have the paths of parts, such as `conv3_x.1`. The rest is as for
    `cnndsl.edit.network.factorise`. Raises CnnError: E0622 for a path that there is not, E0623
    where shapes do not allow it or the text cannot say it, and what `parse` raises.
    """
    source, name = locate(spec)
    unit = load_unit(source)
    item = choose_network(unit, name)
    given = given_settings(settings or {})
    found = elaborate(unit, item, given, input_shapes or {}).sound()
    text, expected = Text(found, unit.tree), found.graph
    paths = [*(path for pair in swaps for path in pair), *deletions]
    for path in paths:
        if any(is_under(path, other) and path != other for other in paths):
            raise fail(found.graph, path, f"{path} is inside another part that is edited")
    for first, second in swaps:
        expected = swap(expected, first, second)
        text.exchange(first, second)
    for path in deletions:
        expected = delete(expected, path)
        text.take_out(path)
    changes = text.changes()
    try:
        new = format_source(spliced(source.text, changes), str(output))
        after = graph_of(Source(str(output), new), found.graph.name, given, input_shapes or {})
    except CnnError:
        new, after = "", None
    if after is None or not _same(after, expected):
        hint = "write the parts one by one, with labels"
        raise fail(found.graph, paths[0], f"the text cannot say this of {paths[0]} alone", hint)
    heirs = tuple(Heir(found.graph[n], [after[n]]) for n in found.graph.nx if n in after)
    return Edited(found.graph.name, new, found.graph, after, heirs)


def _same(one: Graph, other: Graph) -> bool:
    """Whether two graphs have the same nodes, by name, with the same operands and parameters."""
    if set(one.nx) != set(other.nx) or one.outputs != other.outputs or one.inputs != other.inputs:
        return False
    return one.auxiliaries == other.auxiliaries and all(
        (node.op, node.params, [x.name for x in one.producers(node)])
        == (twin.op, twin.params, [x.name for x in other.producers(twin)])
        for node in one.nodes()
        if (twin := other[node.name])
    )
