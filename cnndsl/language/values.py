"""What names and expressions stand for while a network is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

from cnndsl.diagnostics import CnnError, Note, Source, Span
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.graph import Node
from cnndsl.ir.operator import Operator
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.meanings import Meaning
from cnndsl.language.messages import Consequence, Problem
from cnndsl.language.scopes import Local
from cnndsl.language.units import BlockValue, Unit

if TYPE_CHECKING:
    from cnndsl.language.paths import Path

Settings: TypeAlias = Mapping[str, "Given"]
"""Arguments by parameter name."""

DefaultsTable: TypeAlias = Mapping[str, Settings]
"""Scoped defaults: operator or block name to arguments."""


@dataclass(frozen=True)
class Given:
    """An evaluated argument and where it was written."""

    value: Any
    span: Span


def given_settings(settings: Mapping[str, Any]) -> Settings:
    """Values from outside of any file, with a place each: a one-line text of its own.

    Raises CnnError (E0502) for a whole number beyond all bounds, which may have no text.
    """
    given = {}
    for name, value in settings.items():
        plain = _plain(value)
        if isinstance(plain, int) and abs(plain) > limits.MAGNITUDE:
            message = f"{name} is too large: {limits.MAGNITUDE:,} at most"
            raise CnnError.of("E0502", message)
        text = f"{name}={plain}"
        given[name] = Given(plain, Span(Source("<settings>", text), 0, len(text)))
    return given


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy, and tuples, as the numbers and lists of the language."""
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return [*map(_plain, value)] if isinstance(value, list | tuple) else value


def given_shapes(shapes: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Shapes of inputs from outside of any file, numbers of numpy as int.

    Raises CnnError (E0604) for what is no list of sizes.
    """
    found = {}
    for name, shape in shapes.items():
        if isinstance(shape, str) or not isinstance(shape, Iterable):
            raise CnnError.of(
                "E0604",
                f"the shape for input {name!r} is a list of sizes, not {shape!r}",
                hint=f"input_shapes={{{name!r}: (3, 224, 224)}}",
            )
        found[name] = tuple(index(n) if isinstance(n, SupportsIndex) else n for n in shape)
    return found


@dataclass(frozen=True, eq=False)
class Applicable:
    """An operator or block as a value: what to apply, with some arguments given already."""

    target: type[Operator] | BlockValue
    given: Settings
    defaults: DefaultsTable


@dataclass(eq=False)
class Layer:
    """One layer, declared in the instance `path`, with the same weights at every use."""

    name: str
    applied: Applicable
    path: Path
    uses: int = 0


class Poison:
    """The result of a statement that failed."""


POISON = Poison()
Flow: TypeAlias = Node | Poison | list[Any] | None
"""The value at hand: a node, the result of a failure, or nothing before the first input.

It is a list behind a block with several results; nothing can be applied to that.
"""


@dataclass(frozen=True)
class Frame:
    """Where evaluation stands: the file, the values and defaults that hold, and how it got here.

    `values` are those of the names that the item declares; a value of the network is its node.
    `path` is the instance whose parts are made; `at` the value whose sizes can be read, which is
    the one that the present chain starts from. `network` is true inside a network but not inside
    its blocks: there inputs and outputs may stand.
    """

    unit: Unit
    values: dict[Local, Any]
    defaults: dict[str, Settings]
    path: Path
    at: Flow = None
    trail: tuple[Note, ...] = ()
    items: tuple[ast.Definition | ast.Alias, ...] = ()
    network: bool = False

    def inner(self, path: Path | None = None) -> Frame:
        """The frame inside a pair of braces: own defaults on top of these."""
        return replace(self, defaults=dict(self.defaults), path=path or self.path)

    def meaning(self, name: ast.Name) -> Meaning | None:
        """What a name of the file stands for, or None if that was found to be wrong."""
        return self.unit.meanings.get(id(name))

    def keep(self, name: ast.Name, value: Any) -> None:
        """Give a name its value, unless it was found that it cannot have one."""
        local = self.meaning(name)
        if isinstance(local, Local):
            self.values[local] = value

    def kept(self, node: ast.Tree) -> Any:
        """The value of a declared name; None for anything else."""
        local = self.unit.meanings.get(id(node))
        return self.values.get(local, POISON) if isinstance(local, Local) else None

    def reading(self, flow: Flow) -> Frame:
        """The frame in which a value is at hand, and its sizes can be read."""
        values, defaults = self.values, self.defaults
        parts = (self.path, flow, self.trail, self.items, self.network)
        return Frame(self.unit, values, defaults, *parts)


def at_hand(flow: Flow, span: Span, purpose: str = "") -> Node:
    """The one value at hand. Raises Problem if there is none, or several."""
    if isinstance(flow, Node):
        return flow
    if isinstance(flow, Poison):
        raise Consequence(span)
    if flow is None:
        hint = "a network starts with: input image [3, 224, 224]"
        raise Problem("E0210", f"there is no value yet{purpose}", span, hint=hint)
    message = f"there are {len(flow)} values at hand, not one{purpose}"
    raise Problem("E0223", message, span, hint="keep them and use one: let a, b = …")


def kind_of(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, bool):
        return "true or false"
    names = {
        int: "a whole number",
        float: "a number",
        str: "a string",
        list: "a list",
        OpenDim: "an open size",
        Layer: "a layer",
        Node: "a value of the network",
    }
    if isinstance(value, Applicable):
        return "a block" if isinstance(value.target, BlockValue) else "an operator"
    return names.get(type(value), "something else")
