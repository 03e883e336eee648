"""What a recipe is made of.

An item is one class: its arguments with their kinds and defaults, and a docstring that states the
formula and its source. The class directly below `Item` that it belongs to is its slot, of which a
recipe has one item, or several where the slot says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cnndsl.ir.attributes import Kind, attribute_kinds, attributes
from cnndsl.recipes.kinds import PATHS, TEXT


@dataclass(frozen=True)
class Item:
    """Base of all items. Frozen dataclasses, with attributes as those of operators."""

    name: ClassVar[str]
    slot: ClassVar[str]
    several: ClassVar[bool] = False

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """The fields by name, in the order of positional arguments."""
        return {field.name: field for field in attributes(cls)}

    def values(self) -> dict[str, Any]:
        """The arguments that have values."""
        found = {name: getattr(self, name) for name in self.arguments()}
        return {name: value for name, value in found.items() if value is not None}

    def text(self) -> str:
        """The item with all its arguments as the language writes it, the first by position."""
        first = next(iter(self.arguments()), None)
        kinds = kinds_of(type(self))
        shown = [
            f"{'' if name == first else f'{name}='}{written(value, kinds[name])}"
            for name, value in self.values().items()
        ]
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    def to_json(self) -> dict[str, Any]:
        """The name and all arguments that have values."""
        return {"item": self.name, **self.values()}


def kinds_of(item: Any) -> Mapping[str, Kind]:
    """What the arguments of an item take, in the order of positional ones."""
    return attribute_kinds(item)


def written(value: Any, kind: Kind) -> str:
    """An argument as the language writes it; a list of equal numbers as one of them."""
    if isinstance(value, tuple):
        one = len(set(value)) == 1
        return written(value[0], kind) if one else f"[{', '.join(written(v, kind) for v in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return f'"{value}"' if kind.says in (TEXT.says, PATHS.says) else str(value)
