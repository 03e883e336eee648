"""What is known of the name or call under the pointer, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnndsl.analysis.cost import Cost, total
from cnndsl.analysis.receptive_field import Fields
from cnndsl.diagnostics import Span
from cnndsl.diagnostics.units import exact, si
from cnndsl.editor.document import Document
from cnndsl.ir.attributes import attribute_kinds
from cnndsl.language import tree as ast
from cnndsl.language.elaborate import Elaborated
from cnndsl.language.names import Occurrence, Symbol, occurrence_at, occurrences
from cnndsl.language.signatures import definition_signature
from cnndsl.language.units import is_concrete
from cnndsl.reference import Reference

SHOWN = 8
"""Instances that are listed one by one."""


@dataclass(frozen=True)
class Hover:
    """Markdown about a place."""

    span: Span
    text: str


def hover(document: Document, offset: int) -> Hover | None:
    """What is known of the name at an offset: its meaning, and what its call costs here."""
    found = occurrence_at(occurrences(document.unit), offset)
    if found is None:
        return None
    parts = [_meaning(found.symbol)]
    step = _step_at(document, found)
    if step is not None:
        parts += [_instances(document, step)]
    elif found.declares and found.symbol.kind == "block":
        parts += [_of_block(document, found.symbol.owner)]
    elif found.declares and found.symbol.kind == "network":
        parts += [_of_network(document, found.symbol.text)]
    return Hover(found.span, "\n\n".join(part for part in parts if part))


def _meaning(symbol: Symbol) -> str:
    match symbol.kind:
        case "operator":
            known = Reference(symbol.owner)
            return f"```cnn\n{known.signature}\n```\n\n{known.text}"
        case "attribute":
            says = attribute_kinds(symbol.owner)
            kind = says.get(symbol.text)
            return f"`{symbol.text}` of {symbol.owner.name} takes {kind.says}" if kind else ""
        case "function":
            return f"```cnn\n{symbol.owner.usage}\n```"
        case "size":
            return f"`{symbol.text}` of the value at hand"
        case "block" | "network":
            return _head(symbol)
    return f"({symbol.kind}) `{symbol.text}`"


def _head(symbol: Symbol) -> str:
    """The first line of a definition, and the comment above it."""
    if not isinstance(symbol.owner, ast.Definition):
        return f"```cnn\n{symbol.kind} {symbol.text}\n```"
    source, place = symbol.owner.span.source, symbol.owner.span
    head = source.text[place.start : symbol.owner.body.span.start].strip()
    lines = [head] if symbol.text == symbol.owner.name.text else [f"network {symbol.text}", head]
    return "```cnn\n" + "\n".join(lines) + "\n```" + _comment_above(source.text, place.start)


def _comment_above(text: str, start: int) -> str:
    lines = []
    for line in reversed(text[:start].splitlines()):
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return "\n\n" + "\n".join(reversed(lines)) if lines else ""


def _step_at(document: Document, found: Occurrence) -> ast.Step | None:
    """The step of a chain whose operator, block or value a name is."""
    for item in document.unit.tree.items:
        if isinstance(item, ast.Definition) and _within(found.span, item.span):
            return _step_in(item, found.span)
    return None


def _step_in(root: ast.Tree, span: Span) -> ast.Step | None:
    pending: list[ast.Tree] = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Step) and span in _named(node.element):
            return node
        pending += [child for child in ast.children(node) if _within(span, child.span)]
    return None


def _named(element: ast.Element) -> Sequence[Span]:
    """The place of the name of what a step applies."""
    while isinstance(element, ast.Call):
        element = element.callee
    if isinstance(element, ast.Join):
        return [element.operator.span]
    return [element.span] if isinstance(element, ast.Name) else []


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _instances(document: Document, step: ast.Step) -> str:
    """What a step makes of each value that comes to it."""
    through = document.passages.get((step.span.start, step.span.end), [])
    costs = list(_costs(document, step))
    known = costs if len(costs) == len(through) else [None] * len(through)
    rows: Counter[str] = Counter()
    for (network, passage), cost in zip(through, known, strict=True):
        before = f"{passage.before.type} -> " if passage.before else ""
        field = field_text(document.fields(network).get(passage.after.name))
        parts = [cost_text(cost)] if cost else []
        shapes = f"`{before}{passage.after.type}`"
        rows[f"{shapes}: {', '.join([*parts, f'receptive field {field}'])}"] += 1
    lines = [f"- {row}{f' ({count} times)' if count > 1 else ''}" for row, count in rows.items()]
    return "\n".join(_shortened(lines))


def _shortened(lines: list[str]) -> list[str]:
    more = [f"- and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _costs(document: Document, step: ast.Step) -> Iterator[Cost]:
    """The cost of each instance that a step makes, in the order in which they are made."""
    span = step.element.span
    place = step.element.operator.span if isinstance(step.element, ast.Join) else span
    calls = list(document.calls(place))
    if calls:
        yield from (_below(document, network, path) for network, path in calls)
        return
    for network, node in document.nodes.get((place.start, place.end), []):
        yield document.costs(network)[node.name]


def _below(document: Document, network: Elaborated, path: str) -> Cost:
    """What all nodes of an instance cost together."""
    inside = document.costs(network).items()
    return total(cost for name, cost in inside if name.startswith(f"{path}."))


def _of_block(document: Document, block: ast.Definition) -> str:
    """The instances of a block in the networks of its file."""
    rows = [
        f"- {network.graph.name} `{path}`: {cost_text(_below(document, network, path))}"
        for network, path in document.instances(block)
    ]
    if not rows:
        return "No network of this file has an instance of it."
    count = f"{len(rows)} instance{'' if len(rows) == 1 else 's'}:"
    return "\n".join([count, "", *_shortened(rows)])


def _of_network(document: Document, name: str) -> str:
    network = document.elaborated.get(name)
    if network is None:
        items = [i for i in document.unit.own_networks() if i.name.text == name]
        missing = [definition_signature(i) for i in items if isinstance(i, ast.Definition)]
        if items and not is_concrete(items[0]) and missing:
            return f"It needs {' and '.join(missing[0].required)} to be built."
        return ""
    graph = network.graph
    shapes = ", ".join(f"{n} {graph[n].type}" for n in graph.inputs)
    results = ", ".join(f"{n} {graph[node].type}" for n, node in graph.outputs.items())
    return f"{shapes} -> {results}: {cost_text(total(document.costs(network).values()))}"


def cost_text(cost: Cost) -> str:
    """Parameters and multiply-adds of one sample."""
    return f"{exact(cost.params)} parameters, {si(cost.macs)} MACs"


def field_text(fields: Fields) -> str:
    """The size of a receptive field on each axis, once if all are alike."""
    if fields is None:
        return "all"
    sizes = [str(field.size) for field in fields]
    return sizes[0] if len(set(sizes)) == 1 else "x".join(sizes)
