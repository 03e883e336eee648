"""Small texts to syntax trees, graphs and findings."""

from __future__ import annotations

from typing import Any

import cnndsl
from cnndsl.diagnostics import Source
from cnndsl.ir.graph import Graph
from cnndsl.language import tree as ast
from cnndsl.language.parse.parser import parse_file


def network(body: str, before: str = "", shape: str = "[3, 8, 8]") -> str:
    """The text of a network `a` with the input `x`."""
    return f"{before}\nnetwork a {{\n input x {shape}\n {body}\n}}\n"


def graph(body: str, before: str = "", shape: str = "[3, 8, 8]", **options: Any) -> Graph:
    return cnndsl.parse(network(body, before, shape), **options).graph


def nodes(body: str, before: str = "") -> list[str]:
    """The names of all nodes but the input, in order."""
    return [node.name for node in graph(body, before).nodes()][1:]


def shapes(body: str, before: str = "", shape: str = "[3, 8, 8]") -> list[str]:
    """The types of all nodes but the input, in order."""
    return [str(node.type) for node in graph(body, before, shape).nodes()][1:]


def findings(body: str, before: str = "") -> list[str]:
    """The codes of all findings, in order."""
    return [finding.code for finding in cnndsl.check(network(body, before))]


def chains(text: str) -> list[ast.Statement]:
    """The statements of a network's body."""
    (item,) = parse_file(Source("<test>", f"network a {{\n{text}\n}}")).items
    assert isinstance(item, ast.Definition)
    return list(item.body.statements)


def value(expression: str, before: str = "") -> float:
    """The value of an expression, as a constant of the network."""
    (factor,) = graph(f"{before}\n scale({expression})", shape="[1]")["scale1"].op.factor  # type: ignore[attr-defined]
    return float(factor)
