"""All items and their slots. The registry is what the files of the families define."""

from __future__ import annotations

from types import ModuleType

from cnndsl.recipes import augmentations, course, initialisers, losses, optimisers, schedules
from cnndsl.recipes.items import Item


def _family(module: ModuleType) -> list[type[Item]]:
    """The items that a file defines, in its order."""
    return [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Item) and item.__module__ == module.__name__
        if "name" in vars(item)
    ]


FAMILIES: dict[str, list[type[Item]]] = {
    (module.__doc__ or "").partition("\n")[0]: _family(module)
    for module in (losses, optimisers, schedules, course, initialisers, augmentations)
}
"""Items by what the first line of their file says."""

ITEMS: dict[str, type[Item]] = {item.name: item for family in FAMILIES.values() for item in family}
"""Every item by name."""


def of_slot(slot: str) -> dict[str, type[Item]]:
    """The items of a slot by name."""
    return {name: item for name, item in ITEMS.items() if item.slot == slot}


SLOTS: tuple[str, ...] = tuple(dict.fromkeys(item.slot for item in ITEMS.values()))
"""The slots in the order in which recipes show them."""
