"""What is known of an operator: for `explain`, `list ops` and docs/operators.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, astuple
from functools import cache, cached_property
from itertools import groupby
from sys import modules
from typing import Any

from cnndsl.analysis.cost import graph_cost
from cnndsl.api import parse
from cnndsl.importers.onnx.operators import FAMILIES
from cnndsl.ir.attributes import attributes
from cnndsl.ir.operators import ALL, AdaptivePool, Windowed
from cnndsl.ir.types import DType
from cnndsl.network import Network
from cnndsl.recipes.registry import FAMILIES as FAMILIES_OF_ITEMS

SHOWN = 4
"""Results in a picture of a window."""


class Reference:
    """One operator, by what it says of itself, what becomes of its example, and ONNX's reader.

    Of `photo` and items of recipes there are the signature, the text and the attributes.
    """

    def __init__(self, operator: Any):
        self.operator = operator
        self.name = operator.name
        self.text = inspect.getdoc(operator) or ""
        self.meaning = self.text.partition("\n")[0]

    @property
    def signature(self) -> str:
        """The operator with its attributes and their defaults, as in a block's head."""
        arguments = ", ".join(map(_argument, attributes(self.operator)))
        return f"{self.name}({arguments})" if arguments else self.name

    def attributes(self) -> list[dict[str, Any]]:
        """What each attribute takes, for machines."""
        return [
            {
                "name": field.name,
                "takes": field.metadata["kind"].says,
                "required": field.default is MISSING,
                "default": None if field.default is MISSING else _plain(field.default),
            }
            for field in attributes(self.operator)
        ]

    def attribute_table(self) -> list[list[str]]:
        """The same for people, with a head; empty if there are none."""
        rows = [
            [field.name, _default(field.default), field.metadata["kind"].says]
            for field in attributes(self.operator)
        ]
        return [["attribute", "default", "takes"], *rows] if rows else []

    @property
    def example(self) -> str:
        """Statements of a network."""
        shapes, chain = self.operator.example_shapes, self.operator.example or self.name
        names: tuple[str, ...] = ("x",)
        if self.operator.operands is None:
            shapes = shapes * 2 if len(shapes) == 1 else shapes
            names = tuple("abcd"[: len(shapes)])
            chain = f"{chain} {{ {' | '.join(names)} }}"
        inputs = [f"input {n} {list(shape)}" for n, shape in zip(names, shapes, strict=True)]
        return "\n".join([*inputs, chain])

    @cached_property
    def network(self) -> Network:
        """The example, elaborated."""
        return parse(f"network example {{\n{self.example}\n}}\n")

    def facts(self) -> dict[str, Any]:
        """The example's shapes, those of its parameters by role, and its multiply-adds."""
        graph = self.network.graph
        given, made = (
            ", ".join(str(graph[name].type) for name in names)
            for names in (graph.inputs, graph.outputs.values())
        )
        return {
            "shapes": f"{given} -> {made}",
            "parameters": {
                name.rpartition(".")[2]: "x".join(map(str, parameter.shape))
                for name, parameter in graph.parameters().items()
            },
            "macs": graph_cost(graph).macs,
        }

    def made(self) -> str:
        """The same in a line."""
        shapes, parameters, macs = self.facts().values()
        held = ", ".join(f"{role} {shape}" for role, shape in parameters.items())
        parts = (shapes, held and f"parameters: {held}", macs and f"MACs: {macs:,}")
        return "; ".join(filter(None, parts))

    def window(self) -> str:
        """A picture of what the example's first results read on the last axis, of a window."""
        graph = self.network.graph
        core = graph[next(iter(graph.outputs.values()))].core
        windows = core.op.windows(core.inputs)
        if windows is None or not isinstance(core.op, Windowed | AdaptivePool):
            return ""
        step, low, high, each = astuple(windows[-1])
        spans = [((j * step + low) // each, (j * step + high) // each) for j in range(SHOWN)]
        across = range(spans[0][0], spans[-1][1] + 1)
        rows = [
            [f"y[{j}]", *("#" * (a <= i <= b) for i in across)] for j, (a, b) in enumerate(spans)
        ]
        table = [["x", *map(str, across)], *rows]
        return "\n".join(
            f"{head:5}{''.join(f'{c:>3}' for c in row)}".rstrip() for head, *row in table
        )

    def elsewhere(self) -> dict[str, list[str]]:
        """What it is called, by framework; of ONNX, what is read as it or as it and others."""
        found: dict[str, list[str]] = {}
        for known in self.operator.foreign:
            framework, _, name = known.rpartition(" ")
            found.setdefault(framework or "also", []).append(name)
        read = _onnx().get(self.name)
        return {**found, "ONNX": read} if read else found

    def called(self) -> str:
        """The same in a line."""
        return "; ".join(f"{who} {', '.join(names)}" for who, names in self.elsewhere().items())


@cache
def _onnx() -> dict[str, list[str]]:
    """ONNX operators by those of the language that their reading mentions."""
    found: dict[str, list[str]] = {}
    for family in FAMILIES.values():
        for name, read in family.items():
            for ours in re.findall(r"`(\w+)`", read.__doc__ or ""):
                found.setdefault(ours, []).append(name)
    return found


def _argument(field: Any) -> str:
    """An attribute as in a block's head; in brackets if it may be left out without a default."""
    if field.default is MISSING:
        return str(field.name)
    if field.default is None:
        return f"[{field.name}]"
    return f"{field.name}={_written(field.default)}"


def _default(value: object) -> str:
    return "needed" if value is MISSING else "" if value is None else _written(value)


def _plain(value: Any) -> Any:
    """A default for JSON, which knows a number's format by its name."""
    return value.name if isinstance(value, DType) else value


def _written(value: Any) -> str:
    """A default as the language writes it."""
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    return str(value).lower() if isinstance(value, bool) else str(value)


def page() -> str:
    """docs/operators.md: a section for each family."""
    written = [op for op in ALL if not op.internal]
    families = groupby(written, key=lambda op: op.__module__)
    return ABOUT + "".join(
        line for module, family in families for line in _section(module, map(Reference, family))
    )


ABOUT = """\
# Operators

What `cnndsl explain NAME` says of every operator. Shapes are channels first, without the batch;
indices count from 0. "Elsewhere" names what is the same, or nearly so, in other frameworks: where a
text tells of a difference, mind it. Of ONNX it names what is read as the operator, or as several
with it; [ONNX models](import.md) tells how. Every example is checked, and its shapes are computed.
Pictures show which positions the first results read on the last axis; those before 0 are padding.
"""


def _section(module: str, family: Iterator[Reference]) -> Iterator[str]:
    title, _, about = (modules[module].__doc__ or "").partition("\n")[0].rstrip(".").partition(": ")
    yield f"\n## {title}\n"
    if about:
        yield f"\n{about[0].upper()}{about[1:]}.\n"
    yield from map(_entry, family)


def _entry(known: Reference) -> str:
    parts = [f"### {known.name}", f"`{known.signature}`", _markdown(known.text)]
    if (table := known.attribute_table()) and len(table) > 1:
        head, *rows = (f"| {' | '.join(_markdown(cell) for cell in row)} |" for row in table)
        parts.append("\n".join([head, "|---|---|---|", *rows]))
    parts += [f"```cnn\n{known.example}\n```", f"{_markdown(known.made())}."]
    if window := known.window():
        parts.append(f"```text\n{window}\n```")
    if called := known.called():
        parts.append(f"Elsewhere: {_markdown(called)}.")
    return "\n" + "\n\n".join(parts) + "\n"


def recipes_page() -> str:
    """docs/recipes.md: a section for each family of items."""
    return ABOUT_RECIPES + "".join(
        line
        for title, family in FAMILIES_OF_ITEMS.items()
        for line in [_recipe_section(title), *map(_item, map(Reference, family))]
    )


ABOUT_RECIPES = """\
# Recipes

All that a [`recipe`](language.md#recipes) can say; `cnndsl explain NAME` says the same. A recipe
has one item of each kind, but any number of initialisers, augmentations and weights of outputs.
"""


def _recipe_section(title: str) -> str:
    head, _, about = title.rstrip(".").partition(": ")
    return f"\n## {head}\n" + (f"\n{about[0].upper()}{about[1:]}.\n" if about else "")


def _item(known: Reference) -> str:
    parts = [f"### {known.name}", f"`{known.signature}`", _markdown(known.text)]
    if table := known.attribute_table():
        head, *rows = (f"| {' | '.join(_markdown(cell) for cell in row)} |" for row in table)
        parts.append("\n".join([head, "|---|---|---|", *rows]))
    return "\n" + "\n\n".join(parts) + "\n"


def _markdown(text: str) -> str:
    """A text in which only code in backticks has a meaning to Markdown."""
    return re.sub(r"(`[^`]*`)|([*_<|])", lambda m: m[1] or f"\\{m[2]}", text)
