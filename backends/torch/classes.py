"""Classes for instances of one structure: what varies between them becomes parameters."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import groupby, product
from typing import Any, TypeAlias

from cnndsl.backends.torch.code import Code, Operand, Option, Own, Slot, literal
from cnndsl.backends.torch.instances import LAYER, ROW, Instance, Made
from cnndsl.backends.torch.names import free_name

Written: TypeAlias = str | None
"""How a value stands in the code of a class; None if it does not, because it is the default."""


@dataclass(eq=False)
class Class:
    """A class, its instances, and its parameters with the values of each instance.

    `modules` and `calls` tell, for each step, how its values are written in the constructor and in
    the forward pass; `kept` are the parameters that the forward pass reads.
    """

    name: str
    instances: list[Instance]
    parameters: dict[str, list[Any]] = field(default_factory=dict)
    modules: list[list[Written]] = field(default_factory=list)
    calls: list[list[Written]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def first(self) -> Instance:
        """An instance, from which the code is written."""
        return self.instances[0]


class Classes:
    """The classes of all instances, those of parts before those that contain them."""

    def __init__(self, instances: Sequence[Instance], named: Callable[[Instance], str]):
        grouped: dict[Hashable, list[Instance]] = {}
        for instance in instances:
            grouped.setdefault(instance.key, []).append(instance)
        self.of: dict[Hashable, Class] = {}
        for key, members in grouped.items():
            self.of[key] = Class(named(members[0]), members)
            self._parametrise(self.of[key])

    def __iter__(self) -> Iterator[Class]:
        return iter(self.of.values())

    def construction(self, step: Made) -> list[Code]:
        """The constructors of a step: one, or one for each round of a row."""
        if not step.children:
            return [step.layer.module] if step.layer.module else []
        return [self._of_instance(child) for child in step.children]

    def _of_instance(self, instance: Instance) -> Code:
        if instance.kind == LAYER:
            return self.construction(instance.steps[0])[0]
        owner = self.of[instance.key]
        index = owner.instances.index(instance)
        pieces: list[Any] = [f"{owner.name}("]
        for position, (name, values) in enumerate(owner.parameters.items()):
            pieces += [", "] * bool(position) + [f"{name}="] * (position > 1)
            pieces.append(Slot(name, values[index]))
        return (*pieces, ")")

    def _parametrise(self, made: Class) -> None:
        """Find the parameters of a class."""
        finder = _Finder(made.instances, made.first.attributes())
        for index, step in enumerate(made.first.steps):
            members = [instance.steps[index] for instance in made.instances]
            label = step.module.rpartition(".")[2]
            codes = [[c for code in self.construction(m) for c in code] for m in members]
            shown = [] if step.is_shared else [finder.written(c, label) for c in _columns(codes)]
            made.modules.append(shown)
            codes = [list(m.layer.result) for m in members]
            shown = [finder.written(c, label, kept=True) for c in _columns(codes)]
            made.calls.append(shown)
        made.parameters = finder.parameters()
        made.kept = finder.kept


Column: TypeAlias = list[Slot | Option]


def _columns(codes: Sequence[Sequence[Any]]) -> list[Column]:
    """The values of codes that are alike: for each place those of all codes."""
    values = [[piece for piece in code if isinstance(piece, Slot | Option)] for code in codes]
    return [list(column) for column in zip(*values, strict=True)]


class _Finder:
    """Finds what the values of instances follow from; modules inside have names that are taken."""

    def __init__(self, instances: Sequence[Instance], taken: Set[str]):
        self.count = len(instances)
        self.taken = taken
        self.text: dict[str, list[Any]] = {}
        self.chosen: dict[str, list[Any]] = {}
        self.kept: list[str] = []
        first = instances[0]
        if all(instance.channels for instance in instances):
            self.text[free_name("channels", taken)] = [
                instance.channels[0] for instance in instances
            ]
        for name in first.arguments:
            values = [instance.arguments.get(name) for instance in instances]
            if all(isinstance(value, int | float | str) for value in values):
                self.text[free_name(name, taken | self.text.keys())] = values

    def parameters(self) -> dict[str, list[Any]]:
        """Those that are needed: of the text in its order, then others."""
        known = {name: v for name, v in self.text.items() if name in self.chosen}
        return known | self.chosen

    def written(self, column: Column, label: str, kept: bool = False) -> Written:
        """How a value that each instance has is written."""
        slots = [item.slot if isinstance(item, Option) else item for item in column]
        values = [slot.value for slot in slots]
        first = column[0]
        if all(_same(value, values[0]) for value in values):
            defaults = [item.default for item in column if isinstance(item, Option)]
            if defaults and all(_same(d, v) for d, v in zip(defaults, values, strict=True)):
                return None
            return literal(values[0])
        if isinstance(first, Option) and all(
            isinstance(item, Option) and _same(item.default, item.slot.value) for item in column
        ):
            return None
        return self._expression(slots[0].name, values, label, kept)

    def _expression(self, name: str, values: list[Any], label: str, kept: bool) -> str:
        for candidates in (self.chosen, self.text):
            for known, column in candidates.items():
                if all(map(_same, values, column)):
                    return self._use(known, column, kept)
        numbers = {**self.text, **self.chosen}
        numbers = {n: c for n, c in numbers.items() if all(type(v) is int for v in c)}
        if all(type(value) is int and value > 0 for value in values):
            for known, column in numbers.items():
                found = _multiple(values, column)
                if found:
                    return found.format(self._use(known, column, kept))
            for (a, left), (b, right) in product(numbers.items(), repeat=2):
                if all(v == x + y for v, x, y in zip(values, left, right, strict=True)):
                    return f"{self._use(a, left, kept)} + {self._use(b, right, kept)}"
        others = {*self.text, *self.chosen}
        free = free_name(name if name not in others else f"{label}_{name}", others | self.taken)
        return self._use(free, values, kept)

    def _use(self, name: str, values: list[Any], kept: bool) -> str:
        self.chosen.setdefault(name, values)
        if kept and name not in self.kept:
            self.kept.append(name)
        return f"self.{name}" if kept else name


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _multiple(values: Sequence[int], column: Sequence[int]) -> str:
    """How a column is a multiple or a part of another one."""
    pairs = list(zip(values, column, strict=True))
    v, p = pairs[0]
    if p and v % p == 0 and all(value == v // p * known for value, known in pairs):
        return f"{v // p} * {{}}"
    if v and p % v == 0 and all(known == p // v * value for value, known in pairs):
        return f"{{}} // {p // v}"
    return ""


def rendered(code: Code, written: Iterable[Written], operand: Callable[[Operand], str],
             own: str) -> str:  # fmt: skip
    """The text of a code: values as they are written, operands and the module as given."""
    values = iter(written)
    text: list[str] = []
    for piece in code:
        match piece:
            case str():
                text.append(piece)
            case Slot():
                text.append(next(values) or "")
            case Option():
                value = next(values)
                if value is not None:
                    text.append(f", {piece.keyword}={value}")
            case Operand():
                text.append(operand(piece))
            case Own():
                text.append(own)
    return "".join(text)


def constructor(classes: Classes, made: Class, index: int) -> str:
    """The text that makes the module of a step."""
    step, written = made.first.steps[index], iter(made.modules[index])
    parts = [rendered(code, written, lambda operand: "", "") for code in classes.construction(step)]
    if step.layer.module != ROW:
        return parts[0]
    rounds: list[str] = []
    for part, run in groupby(parts):
        length = len(list(run))
        rounds += [part] * length if length < 3 else [f"*({part} for _ in range({length}))"]
    return f"nn.Sequential({', '.join(rounds)})"
