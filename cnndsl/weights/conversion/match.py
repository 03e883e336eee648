"""Layers of a file to layers of a network by names, kinds, shapes and structure.

The order of the file tells nothing. Its names make a tree of modules, which has to tile the
network's order of execution (`tiling`). Readings of the names are tried one after another, the most
demanding first; a pairing is certain if a reading leaves one, or several that compute the same.
Where structure leaves a choice, words that names share make it, such as `downsample` and
`shortcut`. What is not certain is refused, with a draft of rename rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest
from typing import TypeAlias

from cnndsl.diagnostics import CnnError
from cnndsl.ir.graph import Graph
from cnndsl.weights.conversion.execution import Execution, Meanings, by_operands, executions
from cnndsl.weights.conversion.forms import Forms
from cnndsl.weights.conversion.layers import Layer, Signature, layers_of, sort_key
from cnndsl.weights.conversion.names import Index, counts_backwards, family, tokens, words
from cnndsl.weights.conversion.tiling import Reading, Tiler, solve, tree

SINGLE_SLOPE = {"weight": (1,)}
"""The shapes of a PReLU with one slope for all channels."""
READINGS = tuple(
    Reading(underscores, lists, alike, counted)
    for counted in (True, False)
    for alike in (True, False)
    for lists in (False, True)
    for underscores in (False, True)
)
SHOWN = 10

Assignment: TypeAlias = dict[int, int]
"""By the index of a layer of the file that of the network's layer."""


class UncertainError(CnnError):
    """A pairing was refused; `draft` has rename rules to be completed."""

    draft: str = ""


@dataclass
class Matcher:
    """A file's layers, and a network's.

    `known` has targets by the names of layers that other evidence has paired.
    """

    given: Sequence[Layer]
    graph: Graph
    known: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        single = any(layer.shapes == SINGLE_SLOPE for layer in self.given)
        self._parameters = self.graph.parameters()
        self._targets = layers_of(
            (name, (1,) if single and p.init == "prelu" else p.shape)
            for name, p in self._parameters.items()
        )
        self._forms = Forms.of(self.graph)
        self._wanted = [self._forms.signature(layer) for layer in self._targets]
        kinds = set(self._wanted)
        self._sources = sorted(
            (layer for layer in self.given if self._forms.signature(layer) in kinds),
            key=lambda layer: sort_key(layer.name),
        )
        self._have = [self._forms.signature(layer) for layer in self._sources]
        self._roles = [tuple(sorted(layer.shapes)) for layer in self._sources]
        self._reshaped = {kind for kind in kinds if self._forms.is_matrix(dict(kind))}
        self._doubts: list[Assignment] = []
        self._meanings = Meanings(self.graph)
        self._orders = list(executions(self.graph, self._targets))

    def pair(self) -> list[tuple[Layer, Layer]]:
        """Pairs of a file's layer and the graph's layer that takes its arrays.

        Layers of kinds that the graph does not have are left out. Raises UncertainError: E0414 if
        the graph needs more or fewer layers of a kind than there are, E0415 if it is not certain
        which is which.
        """
        unequal = list(self._unequal())
        if unequal:
            raise self._refusal(
                "E0414",
                "the layers of the file are not those of the network",
                "is it the same variant, with as many classes?",
                unequal,
            )
        found = self._certain()
        if found is None:
            raise self._refusal(
                "E0415",
                "several layers have the same shape, and their names do not tell which is which",
                "complete the draft of rename rules that --draft FILE writes, for --weights-map",
                list(self._ambiguities()),
            )
        return [(self._sources[i], self._targets[j]) for i, j in sorted(found.items())]

    def _unequal(self) -> Iterator[str]:
        """The kinds of which the file has more or fewer layers than the network."""
        have, want = Counter(self._have), Counter(self._wanted)
        for kind in want:
            if have[kind] != want[kind]:
                sources = [s for s, k in zip(self._sources, self._have, strict=True) if k == kind]
                targets = [t for t, k in zip(self._targets, self._wanted, strict=True) if k == kind]
                yield _difference(kind, sources, targets)

    def _certain(self) -> Assignment | None:
        """The one pairing, or None; `_doubts` then has those that could be."""
        for fixed in self._evidence():
            read = set()
            for reading in READINGS:
                if reading.underscores in read:
                    continue
                found, is_complete = self._read(reading, fixed)
                best = self._best(found)
                if is_complete and len(best) == 1:
                    return best[0] if self._agrees(best[0]) else None
                if found or not is_complete:
                    if (ordered := self._ordered(reading, fixed)) is not None:
                        return ordered
                    read.add(reading.underscores)
                    self._doubts = self._doubts or found
        return None

    def _ordered(self, reading: Reading, fixed: Assignment) -> Assignment | None:
        """The one pairing in which parallel layers of lists have the order of their numbers.

        None if there is not one alone, or if no lists in sequence tell of that order.
        """
        found, is_complete = self._read(replace(reading, ordered=reading.counted), fixed)
        best = self._best(found)
        if not reading.counted or not is_complete or len(best) != 1:
            return None
        told = self._lists_tell(best[0], reading) and self._agrees(best[0])
        return best[0] if told else None

    def _lists_tell(self, found: Assignment, reading: Reading) -> bool:
        """Whether lists in sequence tell in which order those of parallel layers are.

        Their names are the same but for numbers, as are their members; and that order is the one of
        execution and of the operands that joins have.
        """
        after, ranks = self._orders[0].after, by_operands(self.graph, self._targets)
        lists: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for i, j in found.items():
            parts = tokens(self._sources[i].name, underscores=reading.underscores)
            if parts[-1].isdecimal():
                lists.setdefault(parts[:-1], []).append((int(parts[-1]), j))
        sequences, parallels = set(), set()
        for path, members in lists.items():
            pairs = list(pairwise(sorted(members)))
            labels = [family(self._label(self._targets[j].name)) for _, j in sorted(members)]
            is_counted = all(a[0] != b[0] or a[1] <= b[1] for a, b in pairwise(labels))
            kind = family(".".join(path))[0], tuple(number for number, _ in sorted(members))
            if all(after[j] >> other & 1 for (_, j), (_, other) in pairs):
                if all(ranks[j] < ranks[other] for (_, j), (_, other) in pairs):
                    sequences.add(kind)
            elif not is_counted or any(ranks[j] > ranks[other] for (_, j), (_, other) in pairs):
                return False
            else:
                parallels.add(kind)
        return parallels <= sequences

    def _evidence(self) -> Iterator[Assignment]:
        """No pairs known beforehand, then those that `known` has."""
        yield {}
        if self.known:
            targets = {layer.name: index for index, layer in enumerate(self._targets)}
            yield {
                index: targets[self.known[layer.name]]
                for index, layer in enumerate(self._sources)
                if self.known.get(layer.name) in targets
            }

    def _agrees(self, found: Assignment) -> bool:
        """Whether a pairing contradicts neither `known` nor labels, by name or by number."""
        targets = {layer.name for layer in self._targets if not self._is_default(layer.name)}
        for i, j in found.items():
            name = self._sources[i].name
            expected = self.known.get(name, name if name in targets else None)
            if expected is not None and expected != self._targets[j].name:
                self._doubts = [found, found | {i: self._index(expected)}]
                return False
        for i, other in self._miscounted(found):
            self._doubts = [found, found | {i: found[other], other: found[i]}]
            return False
        return True

    def _miscounted(self, found: Assignment) -> Iterator[tuple[int, int]]:
        """Layers of the file of one kind, one after another, whose targets count the other way."""
        after = self._orders[0].after
        families: dict[object, list[tuple[Index, Index, int, int]]] = {}
        for i, j in found.items():
            source, number = family(self._sources[i].name)
            target, count = family(self._label(self._targets[j].name))
            if not (counts_backwards(source) or counts_backwards(target)):
                kind = self._have[i], source, target
                families.setdefault(kind, []).append((number, count, i, j))
        for members in families.values():
            for (number, count, i, j), (number_2, count_2, other, j_2) in pairwise(sorted(members)):
                is_sequence = after[j] >> j_2 & 1 or after[j_2] >> j & 1
                if number < number_2 and count > count_2 and is_sequence:
                    yield i, other

    def _label(self, target: str) -> str:
        """The part of a layer's name that somebody chose."""
        return target.rpartition(".")[0] if self._is_default(target) else target

    def _is_default(self, name: str) -> bool:
        """Whether a layer is called by its operator and a number, for want of a label."""
        last = name.rpartition(".")[2]
        return name in self.graph and last.rstrip("0123456789") == self.graph[name].op.name

    def _index(self, target: str) -> int:
        return next(i for i, layer in enumerate(self._targets) if layer.name == target)

    def _read(self, reading: Reading, fixed: Assignment) -> tuple[list[Assignment], bool]:
        """All pairings that one reading of the names leaves, in the first order that has any."""
        items = [
            (tokens(layer.name, underscores=reading.underscores), index)
            for index, layer in enumerate(self._sources)
        ]
        if not items:
            return [{}], True
        root = tree(items, self._roles, reading)
        is_complete = True
        for order in self._orders:
            place = {layer.name: index for index, layer in enumerate(self._targets)}
            at = [place[layer.name] for layer in order.layers]
            found, is_complete = solve(self._tiler(order, at, reading, fixed), root)
            if found or not is_complete:
                return [{i: at[p] for i, p in places.items()} for places in found], is_complete
        return [], is_complete

    def _tiler(
        self, order: Execution, at: Sequence[int], reading: Reading, fixed: Assignment
    ) -> Tiler:
        where = {target: position for position, target in enumerate(at)}
        wanted = [self._wanted[target] for target in at]
        excluded = frozenset(
            (i, p)
            for i, kind in enumerate(self._have)
            for p, other in enumerate(wanted)
            if kind == other and kind in self._reshaped
            if not self._takes(order.layers[p], self._sources[i])
        )
        return Tiler(
            self._have,
            self._roles,
            wanted,
            [layer.name for layer in order.layers],
            order.after,
            {i: where[j] for i, j in fixed.items()},
            reading.counted,
            reading.ordered,
            excluded,
        )

    def _takes(self, target: Layer, source: Layer) -> bool:
        return all(
            self._forms.fits(self._parameters[target.array(role)], shape)
            for role, shape in source.shapes.items()
        )

    def _best(self, found: Sequence[Assignment]) -> list[Assignment]:
        """One of each class of pairings that compute the same, those with the most shared words."""
        if len(found) < 2:
            return list(found)
        classes: dict[tuple[int, ...], Assignment] = {}
        for assignment in found:
            sources = {self._targets[j].name: self._sources[i].name for i, j in assignment.items()}
            classes.setdefault(self._meanings.of(sources), assignment)
        scores = [
            sum(
                len(words(self._sources[i].name) & words(self._targets[j].name))
                for i, j in assignment.items()
            )
            for assignment in classes.values()
        ]
        best = max(scores)
        return [a for a, score in zip(classes.values(), scores, strict=True) if score == best]

    def _ambiguities(self) -> Iterator[str]:
        for i, targets in sorted(self._alternatives().items()):
            if len(targets) > 1:
                names = " or ".join(self._targets[j].name for j in targets)
                yield f"{self._sources[i].name} can be {names}"

    def _alternatives(self) -> dict[int, list[int]]:
        """By layer of the file the network's layers that it may be, the likeliest first."""
        found: dict[int, dict[int, None]] = {}
        for assignment in self._doubts or [self._guess()]:
            for i, j in assignment.items():
                found.setdefault(i, {})[j] = None
        return {i: list(targets) for i, targets in found.items()}

    def _guess(self) -> Assignment:
        """Layers of each kind in the order of their names."""
        rest: dict[Signature, list[int]] = {}
        for j, kind in enumerate(self._wanted):
            rest.setdefault(kind, []).append(j)
        return {i: rest[kind].pop(0) for i, kind in enumerate(self._have) if rest[kind]}

    def _refusal(self, code: str, message: str, hint: str, lines: Sequence[str]) -> UncertainError:
        rest = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        plain = CnnError.of(code, message, hint=hint, notes=[*lines[:SHOWN], *rest])
        error = UncertainError(plain.diagnostics, usage=True)
        error.draft = self._draft()
        return error

    def _draft(self) -> str:
        """Rename rules, one for each layer; doubtful ones say what else could be."""
        found = self._alternatives()
        is_guess = not self._doubts
        lines = []
        for i, (j, *others) in sorted(found.items(), key=lambda item: item[1][0]):
            source, target = self._sources[i], self._targets[j]
            rule = f"{source.array('*')} -> {target.array('weight' if source.bare else '*')}"
            doubt = [self._targets[other].name for other in others]
            doubt += ["a guess"] if is_guess and self._have.count(self._have[i]) > 1 else []
            lines.append(f"{rule}  # ? {', '.join(doubt)}" if doubt else rule)
        taken = {targets[0] for targets in found.values()}
        lines += [
            f"# ? -> {layer.prefix}*" for j, layer in enumerate(self._targets) if j not in taken
        ]
        lines += [f"# {layer.array('*')} -> ?" for layer in self._left()]
        return "".join(f"{line}\n" for line in lines)

    def _left(self) -> Iterator[Layer]:
        used = {self._sources[i].name for i in self._alternatives()}
        yield from (layer for layer in self.given if layer.name not in used)


def match(
    given: Sequence[Layer], graph: Graph, known: Mapping[str, str] | None = None
) -> list[tuple[Layer, Layer]]:
    """The pairs of `Matcher.pair`."""
    return Matcher(given, graph, known or {}).pair()


def _difference(signature: Signature, sources: list[Layer], targets: list[Layer]) -> str:
    shapes = ", ".join(f"{role} {'x'.join(map(str, shape))}" for role, shape in signature)
    extra = next(
        (f"; the network has {t.name}" if s is None else f"; the file has {s.name}")
        for s, t in zip_longest(sources, targets)
        if s is None or t is None
    )
    return f"{shapes}: the file has {len(sources)}, the network needs {len(targets)}{extra}"
