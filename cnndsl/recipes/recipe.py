"""A whole recipe: its items, and what holds where it says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cnndsl.recipes.course import Average, Batch, Clip, Epochs, Length, Precision
from cnndsl.recipes.items import Item
from cnndsl.recipes.losses import Loss
from cnndsl.recipes.optimisers import AdamW, Optimiser
from cnndsl.recipes.registry import SLOTS
from cnndsl.recipes.schedules import Cosine, Course, Schedule, Warmup

T = TypeVar("T", bound=Item)

DEFAULTS: tuple[Item, ...] = (AdamW(), Cosine(), Epochs(), Batch(), Precision())
"""What holds in slots that a recipe leaves empty."""

BY_DEFAULT = "by default"


@dataclass(frozen=True)
class Entry:
    """An item, and who says it: a place in a text, an option."""

    item: Item
    origin: str


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    There is one item of each slot, or several where the slot takes them, in the order of the text.
    Without a loss it is `map` for outputs that are distances and `cross_entropy` for others.
    """

    entries: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, *items: Item, origin: str = "given") -> Recipe:
        """A recipe of some items."""
        return cls().changed(items, origin)

    def changed(self, items: Iterable[Item], origin: str) -> Recipe:
        """The recipe with other items in the slots of these."""
        given = list(items)
        taken = {item.slot for item in given}
        kept = tuple(entry for entry in self.entries if entry.item.slot not in taken)
        return replace(self, entries=(*kept, *(Entry(item, origin) for item in given)))

    def added(self, item: Item, origin: str) -> Recipe:
        """The recipe with one more item; in slots that take one, with another."""
        if not item.several:
            return self.changed([item], origin)
        return replace(self, entries=(*self.entries, Entry(item, origin)))

    def without(self, kind: type[Item]) -> Recipe:
        """The recipe without the items of a class."""
        kept = tuple(entry for entry in self.entries if not isinstance(entry.item, kind))
        return replace(self, entries=kept)

    def whole(self) -> list[Entry]:
        """All entries, those by default with them, in the order of the slots."""
        taken = {entry.item.slot for entry in self.entries}
        missing = [Entry(item, BY_DEFAULT) for item in DEFAULTS if item.slot not in taken]
        return sorted([*self.entries, *missing], key=lambda entry: SLOTS.index(entry.item.slot))

    def all(self, kind: type[T]) -> list[T]:
        """The items of a class, in order."""
        return [entry.item for entry in self.whole() if isinstance(entry.item, kind)]

    def one(self, kind: type[T]) -> T | None:
        """The item of a class, if there is one."""
        return next(iter(self.all(kind)), None)

    def _sure(self, kind: type[T]) -> T:
        """The item of a slot that has a default."""
        (item,) = self.all(kind)
        return item

    @property
    def loss(self) -> Loss | None:
        """The loss, if the recipe says it."""
        return self.one(Loss)

    @property
    def optimiser(self) -> Optimiser:
        """The optimiser."""
        return self._sure(Optimiser)

    @property
    def schedule(self) -> Schedule:
        """How the rate falls."""
        return self._sure(Schedule)

    @property
    def warmup(self) -> Warmup | None:
        """The warm-up, if there is one."""
        return self.one(Warmup)

    @property
    def batch(self) -> int:
        """Samples of a step."""
        return self._sure(Batch).samples

    def epochs(self, steps: int) -> int:
        """Passes over the data, of so many steps each."""
        length = self._sure(Length)
        return length.epochs(steps)

    def rate_at(self, step: int, steps: int, errors: Sequence[float] = ()) -> float:
        """The rate of a step, counted from 0, with so many `steps` in an epoch.

        `errors` are the held-out errors of the epochs that are done.
        """
        warmup = self.warmup
        course = Course(step, steps, self.epochs(steps), warmup.epochs if warmup else 0, errors)
        grown = warmup.factor_at(course) if warmup else None
        factor = self.schedule.factor_at(course) if grown is None else grown
        return self.optimiser.rate * factor

    @property
    def clip(self) -> float | None:
        """The largest norm of all gradients, if there is one."""
        found = self.one(Clip)
        return found.norm if found else None

    @property
    def average(self) -> float | None:
        """The decay of the moving average of weights, if there is one."""
        found = self.one(Average)
        return found.decay if found else None

    @property
    def precision(self) -> str:
        """f32, bf16 or f16."""
        return self._sure(Precision).format

    def texts(self) -> list[str]:
        """All items as the language writes them."""
        return [entry.item.text() for entry in self.whole()]

    def to_json(self) -> list[dict[str, Any]]:
        """All items with their slots, arguments and who says them."""
        return [
            {"slot": entry.item.slot, **entry.item.to_json(), "said": entry.origin}
            for entry in self.whole()
        ]
