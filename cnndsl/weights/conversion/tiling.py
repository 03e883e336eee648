"""Trees of names laid over an order of execution: every module takes an interval of it.

A module of a framework runs as one piece, so its layers are neighbours in some order of execution.
The modules of a scope tile the interval of the scope; modules that hold the same names, wherever
they are, have the same order inside; and what is numbered runs in the order of its numbers, unless
it is in parallel branches. All tilings that fit are searched: whether there is more than one
decides whether a pairing is certain.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, islice, pairwise
from typing import TypeAlias

from cnndsl.weights.conversion.names import Index, counts_backwards, family, words

Item: TypeAlias = tuple[tuple[str, ...], int]
Placed: TypeAlias = tuple["Scope", int]

MAX_STEPS = 20_000
STEPS_PER_LAYER = 30
MAX_SOLUTIONS = 64
MAX_ARRANGEMENTS = 256


class TooManyError(Exception):
    """The search was given up."""


@dataclass(frozen=True, eq=False)
class Scope:
    """A module of a file: its name within the one around, modules in it, or one layer's index.

    A `listed` one is a member of a list of layers that is looked through.
    """

    token: str
    layers: tuple[int, ...]
    children: tuple[Scope, ...]
    kind: object = None
    listed: bool = False

    @cached_property
    def family(self) -> tuple[str, Index]:
        """The name without its numbers, and these."""
        return family(self.token)

    @property
    def is_numbered(self) -> bool:
        """Whether numbers alone name the modules inside."""
        return bool(self.children) and all(child.token.isdecimal() for child in self.children)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the name."""
        return words(self.token)


@dataclass(frozen=True)
class Reading:
    """How names are read: what separates scopes, and which scopes are not modules that run.

    `lists` looks through scopes of numbers alone, which may be lists whose members are called from
    elsewhere. `alike` wants modules with the same names inside to have the same order inside, and
    `counted` numbers to be that order; `ordered` wants it of lists of layers in parallel too.
    """

    underscores: bool = False
    lists: bool = False
    alike: bool = True
    counted: bool = True
    ordered: bool = False


def tree(items: Sequence[Item], roles: Sequence[object], reading: Reading) -> Scope:
    """The scopes of layers, given by the parts of their names and their indices into `roles`."""
    return _scope("", list(items), roles, reading)


def _scope(token: str, items: list[Item], roles: Sequence[object], reading: Reading) -> Scope:
    if len(items) == 1:
        ((path, index),) = items
        return Scope(".".join(filter(None, (token, *path))), (index,), ())
    groups: dict[str, list[Item]] = {}
    for path, index in items:
        groups.setdefault(path[0] if path else "", []).append((path[1:], index))
    if len(groups) == 1:
        ((name, inside),) = groups.items()
        return _scope(f"{token}.{name}" if token else name, inside, roles, reading)
    children: list[Scope] = []
    for name, inside in sorted(groups.items()):
        child = _scope(name, inside, roles, reading)
        if _is_list(child, roles, reading):
            listed = not any(each.children for each in child.children)
            children += (
                replace(each, token=f"{child.token}.{each.token}", listed=listed)
                for each in child.children
            )
        else:
            children.append(child)
    names = sorted((".".join(path), roles[index]) for path, index in items)
    kind = (family(token.rpartition(".")[2])[0], tuple(names)) if reading.alike else object()
    layers = tuple(index for child in children for index in child.layers)
    return Scope(token, layers, tuple(children), kind)


def _is_list(scope: Scope, roles: Sequence[object], reading: Reading) -> bool:
    """Whether a scope is, or may be, a list of what runs elsewhere."""
    if not scope.is_numbered:
        return False
    leaves = not any(child.children for child in scope.children)
    alike = len({roles[index] for index in scope.layers}) == 1
    return (leaves and alike) or reading.lists


@dataclass
class Tiler:
    """A tree of names, and layers in an order of execution.

    `given` has the signature of each layer of the file, and `roles` what arrays it has; `wanted`
    the signature of each place in the order, `paths` the names of the network's layers there, and
    `after` who reads whom, as `Execution`. `fixed` places are known. `excluded` pairs of a layer
    and a place cannot be.
    """

    given: Sequence[object]
    roles: Sequence[object]
    wanted: Sequence[object]
    paths: Sequence[str]
    after: Sequence[int]
    fixed: Mapping[int, int]
    counted: bool = True
    ordered: bool = False
    excluded: frozenset[tuple[int, int]] = frozenset()
    steps: int = 0
    _feasible: dict[tuple[Scope, int], bool] = field(default_factory=dict)
    _domains: dict[Scope, list[int]] = field(default_factory=dict)
    _totals: dict[Scope, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        draw = random.Random(0)
        self._hashes = {
            s: draw.getrandbits(100) for s in dict.fromkeys((*self.wanted, *self.given))
        }
        self._sums = [0]
        for signature in self.wanted:
            self._sums.append(self._sums[-1] + self._hashes[signature])
        self._fixed_at = {place: index for index, place in self.fixed.items()}
        self._words = [words(path) for path in self.paths]

    def solutions(self, root: Scope) -> Iterator[dict[int, int]]:
        """Places of all layers by index. Raises TooManyError if there are too many to try."""
        if self._fits(root, 0):
            if root.children:
                yield from self._solve({root.kind: [(root, 0)]}, {})
            else:
                yield {root.layers[0]: 0}

    def _solve(
        self, pending: Mapping[object, list[Placed]], places: Mapping[int, int]
    ) -> Iterator[dict[int, int]]:
        """The places of what is in the modules of each kind, from the largest on.

        Of arrangements only those are tried that share the most words with the network's names.
        """
        if not pending:
            yield dict(places)
            return
        kind = max(pending, key=lambda k: len(pending[k][0][0].layers))
        modules = pending[kind]
        arrangements = list(islice(self._arrangements(modules), MAX_ARRANGEMENTS + 1))
        if len(arrangements) > MAX_ARRANGEMENTS:
            raise TooManyError
        ranked = sorted(arrangements, key=lambda a: -self._score(modules, a))
        for _, group in groupby(ranked, key=lambda a: self._score(modules, a)):
            is_solved = False
            for offsets in group:
                rest = {k: list(v) for k, v in pending.items() if k != kind}
                known = dict(places)
                for scope, start in modules:
                    for child, offset in zip(scope.children, offsets, strict=True):
                        if child.children:
                            rest.setdefault(child.kind, []).append((child, start + offset))
                        else:
                            known[child.layers[0]] = start + offset
                for solution in self._solve(rest, known):
                    is_solved = True
                    yield solution
            if is_solved:
                return

    def _score(self, modules: Sequence[Placed], offsets: Sequence[int]) -> int:
        return sum(
            len(child.words & self._words[place])
            for scope, start in modules
            for child, offset in zip(scope.children, offsets, strict=True)
            for place in range(start + offset, start + offset + len(child.layers))
        )

    def linked(self, pairs: Iterable[tuple[Scope, Scope]], places: Mapping[int, int]) -> int:
        """How many of these pairs of modules read one another."""
        return sum(self._reads(b, a, places) or self._reads(a, b, places) for a, b in pairs)

    def _reads(self, reader: Scope, other: Scope, places: Mapping[int, int]) -> bool:
        bits = sum(1 << places[index] for index in reader.layers)
        return any(self.after[places[index]] & bits for index in other.layers)

    def _fits(self, scope: Scope, start: int) -> bool:
        """Whether the layers of a scope, in some order, can take the places from `start` on."""
        end = start + len(scope.layers)
        if end > len(self.wanted):
            return False
        if scope not in self._totals:
            self._totals[scope] = sum(self._hashes[self.given[index]] for index in scope.layers)
        if self._sums[end] - self._sums[start] != self._totals[scope]:
            return False
        if not scope.children:
            (index,) = scope.layers
            return (
                self.fixed.get(index, start) == start
                and self._fixed_at.get(start, index) == index
                and (index, start) not in self.excluded
            )
        return all(start <= self.fixed.get(index, start) < end for index in scope.layers)

    def _can_be(self, scope: Scope, start: int) -> bool:
        """Whether a scope can be arranged from `start` on, whatever others of its kind need."""
        if not scope.children:
            return self._fits(scope, start)
        key = (scope, start)
        if key not in self._feasible:
            found = self._fits(scope, start)
            self._feasible[key] = found and any(True for _ in self._arrangements([key]))
        return self._feasible[key]

    def _domain(self, scope: Scope) -> list[int]:
        """The places where a scope can start."""
        if scope not in self._domains:
            last = len(self.wanted) - len(scope.layers)
            self._domains[scope] = [p for p in range(last + 1) if self._fits(scope, p)]
        return self._domains[scope]

    def _arrangements(self, modules: Sequence[Placed]) -> Iterator[tuple[int, ...]]:
        """The offsets of children that fit all modules, which are of one kind."""
        scope, start = modules[0]
        size, end = len(scope.children), start + len(scope.layers)
        ranks = sorted(range(size), key=lambda i: scope.children[i].family)
        offsets = [-1] * size
        trail: list[tuple[int, Iterator[int]]] = [
            (start, self._next(modules, ranks, offsets, start))
        ]
        chosen: list[int] = []
        while trail:
            place, choices = trail[-1]
            if place == end:
                yield tuple(offset - start for offset in offsets)
                choice = None
            else:
                choice = next(choices, None)
            if choice is None:
                trail.pop()
                if chosen:
                    offsets[chosen.pop()] = -1
                continue
            offsets[choice] = place
            chosen.append(choice)
            after = place + len(scope.children[choice].layers)
            trail.append((after, self._next(modules, ranks, offsets, after)))

    def _next(
        self, modules: Sequence[Placed], ranks: Sequence[int], offsets: Sequence[int], place: int
    ) -> Iterator[int]:
        """The children that can stand at a place."""
        scope, start = modules[0]
        for index in ranks:
            if offsets[index] >= 0:
                continue
            self.steps += 1
            if self.steps > MAX_STEPS + STEPS_PER_LAYER * len(self.wanted):
                raise TooManyError
            fits = all(
                self._can_be(s.children[index], origin + place - start) for s, origin in modules
            )
            if fits and self._is_counted(scope, index, offsets, place):
                yield index

    def _is_counted(self, scope: Scope, index: int, offsets: Sequence[int], place: int) -> bool:
        """Whether numbers allow a child here: what is numbered lower does not read it."""
        child = scope.children[index]
        stem, number = child.family
        if not self.counted or counts_backwards(stem):
            return True
        size = len(child.layers)
        readers = 0
        for position in range(place, place + size):
            readers |= self.after[position]
        for other, offset in zip(scope.children, offsets, strict=True):
            if other is child or other.family[0] != stem:
                continue
            length = len(other.layers)
            if self.ordered and child.listed and other.listed:
                if (offset >= 0) != (other.family[1] < number):
                    return False
            elif offset >= 0 and other.family[1] > number:
                if any(self.after[p] & _bits(place, size) for p in range(offset, offset + length)):
                    return False
            elif offset < 0 and other.family[1] < number:
                later = (p for p in self._domain(other) if p >= place + size)
                if not any(readers & _bits(p, length) == 0 for p in later):
                    return False
        return True


def _bits(start: int, size: int) -> int:
    return ((1 << size) - 1) << start


def solve(tiler: Tiler, root: Scope) -> tuple[list[dict[int, int]], bool]:
    """Solutions, and whether these are all."""
    found: list[dict[int, int]] = []
    try:
        for solution in tiler.solutions(root):
            if len(found) == MAX_SOLUTIONS:
                return found, False
            found.append(solution)
    except TooManyError:
        return found, False
    neighbours = list(_neighbours(root, tiler.roles))
    scores = [tiler.linked(neighbours, places) for places in found]
    return [f for f, score in zip(found, scores, strict=True) if score == max(scores)], True


def _neighbours(scope: Scope, roles: Sequence[object]) -> Iterator[tuple[Scope, Scope]]:
    """Pairs of modules one of which reads the other: unlike neighbours in sequences, and twos.

    A list of branches has like members; what is unlike and numbered, or alone, belongs together.
    """
    if scope.is_numbered:
        ordered = sorted(scope.children, key=lambda child: int(child.token))
        if len({frozenset(roles[i] for i in child.layers) for child in ordered}) > 1:
            yield from pairwise(ordered)
    elif len(scope.children) == len(scope.layers) == 2:
        first, second = scope.children
        if roles[first.layers[0]] != roles[second.layers[0]]:
            yield first, second
    for child in scope.children:
        yield from _neighbours(child, roles)
