"""Where a network's convolutions are written: instances to calls in the source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from fnmatch import fnmatchcase

from cnndsl.diagnostics import CnnError, Diagnostic, Span
from cnndsl.edit.factorise import Site
from cnndsl.ir.attributes import attribute_kinds
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import Conv
from cnndsl.language import tree as ast

AUTOMATIC = re.compile(r"conv[1-9][0-9]*")
"""The name of an instance without a label."""


def matching(graph: Graph, pattern: str) -> list[Node]:
    """The convolutions whose paths match a pattern as the shell does, `*` any text.

    Raises CnnError: E0622 if there is none, E0621 if a call makes others too that do not match.
    """
    convs = [node for node in graph.nodes() if isinstance(node.op, Conv)]
    found = [node for node in convs if fnmatchcase(node.name, pattern)]
    if not found:
        shown = [node.name for node in convs[:6]] + ["..."] * (len(convs) > 6)
        hint = f"convolutions: {', '.join(shown)}" if convs else None
        raise CnnError.of("E0622", f"no convolution matches {pattern!r}", hint=hint)
    spans = {node.spans: node for node in found}
    for node in convs:
        if node.spans in spans and not fnmatchcase(node.name, pattern):
            raise _fail(
                spans[node.spans],
                f"this makes {node.name} too, which does not match {pattern!r}",
                "instances that are written once change together: match all of them",
            )
    return found


def site_of(tree: ast.File, nodes: list[Node]) -> tuple[Site, ast.Step, tuple[ast.Step, ...]]:
    """The call that makes all the nodes, its step, and the part of a chain with that step.

    Raises CnnError (E0621) if it is not written in this file as a call of conv in a chain, or if
    the nodes differ in more than their channels and a stride that is one number.
    """
    first = nodes[0]
    span = span_of(first)
    if (span.source.name, span.source.text) != (tree.source.name, tree.source.text):
        hint = f"edit a network of {span.source.name}, or copy its block into this file"
        raise _fail(first, f"{first.name} is written in another file", hint)
    found = ((s, part) for part in _parts(tree) for s in part if _same(s.element.span, span))
    step, part = next(found, (None, ()))
    call = step.element if step else None
    if step is None or not isinstance(call, ast.Call) or call.callee != ast.Name(span, "conv"):
        hint = "write conv(...) as a step of a chain"
        raise _fail(first, f"{first.name} is not made by a call of conv in a chain", hint)
    ops = [node.op for node in nodes if isinstance(node.op, Conv)]
    for node, op in zip(nodes, ops, strict=True):
        if replace(op, filters=ops[0].filters, stride=ops[0].stride) != ops[0]:
            raise _fail(first, f"{first.name} and {node.name} differ, which are both made here")
    arguments = _arguments(call)
    return Site(span, arguments, ops[0], _stride(first, ops, arguments)), step, part


def _stride(node: Node, ops: list[Conv], arguments: Mapping[str, str]) -> tuple[str, ...]:
    """The stride of each axis as text: as it is written where that is one number."""
    written = arguments.get("stride", "[")
    if not written.startswith("[") and all(len(set(op.stride)) == 1 for op in ops):
        return (written,) * len(ops[0].stride)
    if len({op.stride for op in ops}) > 1:
        raise _fail(node, f"the instances of {node.name} differ in a list of strides")
    return tuple(map(str, ops[0].stride))


def span_of(node: Node) -> Span:
    """The place of an instance, which in a graph as written is one."""
    (span,) = node.spans
    return span


def automatic_name(nodes: list[Node]) -> str | None:
    """The last part of the nodes' paths, if it was made automatically and all have the same."""
    names = {node.name.rpartition(".")[2] for node in nodes}
    return name if len(names) == 1 and AUTOMATIC.fullmatch(name := names.pop()) else None


def _arguments(call: ast.Call) -> dict[str, str]:
    """The arguments as written, by name; positional ones are named in order."""
    names = iter(attribute_kinds(Conv))
    found = {}
    for argument in call.arguments:
        name = argument.name.text if argument.name else next(names)
        span = argument.value.span
        found[name] = span.source.text[span.start : span.end]
    return found


def _parts(tree: ast.Tree) -> Iterator[tuple[ast.Step, ...]]:
    """The parts of all chains in a tree: steps that a label names together, or none."""
    pending: list[object] = [tree]
    while pending:
        item = pending.pop()
        if isinstance(item, ast.Chain):
            yield from ast.parts(item)
        if isinstance(item, ast.Tree):
            pending += [getattr(item, field.name) for field in fields(item)]
        elif isinstance(item, tuple):
            pending += item


def _same(a: Span, b: Span) -> bool:
    return (a.start, a.end) == (b.start, b.end)


def _fail(node: Node, message: str, hint: str | None = None) -> CnnError:
    return CnnError([Diagnostic("E0621", message, span_of(node), hint)])
