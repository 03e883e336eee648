"""The text for parts that are taken out or change places: rounds of loops, and steps of chains."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cnndsl.diagnostics import Span
from cnndsl.edit.parts import fail, is_under
from cnndsl.ir.graph import Graph
from cnndsl.language import tree as ast
from cnndsl.language.elaborate import Elaborated

COUNTERS = ("j", "k", *(f"turn{number}" for number in range(1000)))
"""Names for what counts the rounds of a loop that has no counter."""


@dataclass(eq=False)
class Turns:
    """A labelled loop of the text, and what it has made: paths, each with its rounds in order.

    `outer` are the loops around it in its definition.
    """

    step: ast.Step
    outer: Sequence[ast.For | ast.Repeat]
    orders: dict[str, list[int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def loop(self) -> ast.For | ast.Repeat:
        """The loop itself."""
        assert isinstance(self.step.element, ast.For | ast.Repeat)
        return self.step.element


class Text:
    """The text of a network while parts of it are taken out and change places.

    `take_out` and `exchange` take paths of parts. Both raise CnnError (E0623) where the text cannot
    say it; whether the result is right is left to be seen.
    """

    def __init__(self, found: Elaborated, tree: ast.File):
        self.found, self.tree, self.graph = found, tree, found.graph
        self.turns: dict[int, Turns] = {}
        self.taken: set[str] = set()
        self.moved: set[tuple[int, int]] = set()
        self.skipped: dict[tuple[int, int], list[str]] = {}
        self.texts: dict[tuple[int, int], str] = {}
        for path, kind in self.graph.scopes.items():
            if kind == "loop":
                self._note(path)

    def take_out(self, path: str) -> None:
        """Leave a part out."""
        if (turns := self._turns(path)) is not None:
            turns[0].remove(turns[1])
            return
        region = self._region(path)
        if self._times(path) > 1:
            self.skipped.setdefault(region, []).append(path)
            return
        self.moved.add(region)
        before = self._end_before(path)
        self.texts[region if before is None else (before, region[1])] = (
            "identity" if before is None else ""
        )
        self._label_others(path)

    def exchange(self, first: str, second: str) -> None:
        """Let two parts change places."""
        one, two = self._turns(first), self._turns(second)
        if one and two and one[0] is two[0]:
            order, a, b = one[0], one[0].index(one[1]), two[0].index(two[1])
            order[a], order[b] = order[b], order[a]
            return
        if one or two:
            hint = "rounds of one loop can, and steps that are written one by one"
            raise fail(self.graph, first, f"{first} and {second} cannot change places here", hint)
        regions = [self._region(path) for path in (first, second)]
        texts = [self._labelled(path) for path in (second, first)]
        self.texts |= dict(zip(regions, texts, strict=True))
        self.moved |= set(regions)
        self._label_others(first)

    def changes(self) -> dict[Span, str]:
        """What stands in which place of the text."""
        source = self.tree.source
        for turns in self.turns.values():
            if any(order != list(range(turns.counts[p])) for p, order in turns.orders.items()):
                place = turns.step.span
                self.texts[place.start, place.end] = self._loop(turns)
        for region, paths in self.skipped.items():
            self._skip(region, paths)
        return {Span(source, start, end): text for (start, end), text in self.texts.items()}

    def _note(self, path: str) -> None:
        """Note what a labelled loop has made, if it is written in this text."""
        count = _rounds(self.graph, path)
        place = self._place(f"{path}.0")
        steps = [
            (len(parents), node, parents)
            for node, parents in _placed(self.tree)
            if isinstance(node, ast.Step)
            and node.label is not None
            and isinstance(node.element, ast.For | ast.Repeat)
            and place is not None
            and _contains(node.span, place)
        ]
        if count and steps:
            _, step, parents = max(steps, key=lambda found: found[0])
            loops = [p for p in parents if isinstance(p, ast.For | ast.Repeat)]
            turns = self.turns.setdefault(id(step), Turns(step, loops))
            turns.orders[path] = list(range(count))
            turns.counts[path] = count

    def _turns(self, path: str) -> tuple[list[int], int] | None:
        """The order of the loop that a part is a round of, and its number."""
        loop, _, last = path.rpartition(".")
        for turns in self.turns.values():
            if loop in turns.orders and last.isdigit():
                return turns.orders[loop], int(last)
        return None

    def _place(self, path: str) -> Span | None:
        """Where a part is called, or something directly in it is written, if in this text."""
        calls = self.found.calls
        inside = [p for p in calls if p.rpartition(".")[0] == path]
        spans = [calls[p].span for p in ([path] if path in calls else inside)]
        for name in self.graph.nx:
            if not spans and (name == path or name.rpartition(".")[0] == path):
                spans += self.graph[name].spans
        own = (self.tree.source.name, self.tree.source.text)
        return next((s for s in spans if (s.source.name, s.source.text) == own), None)

    def _region(self, path: str) -> tuple[int, int]:
        """From where to where a part is written that is no round."""
        part = self._part(path)
        return part[0].span.start, part[-1].span.end

    def _end_before(self, path: str) -> int | None:
        """The end of the step before a part, if there is one in its chain."""
        first = self._part(path)[0].span.start
        ends = [
            step.span.end
            for node, _ in _placed(self.tree)
            if isinstance(node, ast.Chain) and any(s.span.start == first for s in node.steps[1:])
            for step in node.steps
            if step.span.end <= first
        ]
        return max(ends, default=None)

    def _part(self, path: str) -> tuple[ast.Step, ...]:
        place = self._place(path)
        chains = (node for node, _ in _placed(self.tree) if isinstance(node, ast.Chain))
        parts = [part for chain in chains for part in ast.parts(chain)]
        if place is not None and path in self.found.calls:
            for part in parts:
                for step in part:
                    if (step.element.span.start, step.element.span.end) == (place.start, place.end):
                        return part if step.label else (step,)
        elif place is not None:
            own = [p for p in parts if p[0].label and _contains(_over(p), place)]
            if own:
                return min(own, key=lambda part: part[-1].span.end - part[0].span.start)
        raise fail(self.graph, path, f"{path} is not written in this file as a step of a chain")

    def _times(self, path: str) -> int:
        """How many instances the call of a part makes."""
        calls = self.found.calls
        return sum(path in calls and other.span == calls[path].span for other in calls.values())

    def _skip(self, region: tuple[int, int], paths: Sequence[str]) -> None:
        """Let a call in a loop count its instances, which names them, and make all but some."""
        start, end = region
        stem = paths[0].rstrip("0123456789")
        span = self.found.calls[paths[0]].span
        made = [
            int(path[len(stem) :])
            for path, called in self.found.calls.items()
            if called.span == span and re.fullmatch(re.escape(stem) + r"\d+", path)
        ]
        bodies = [
            node.body.span.start
            for node, _ in _placed(self.tree)
            if isinstance(node, ast.Definition) and node.span.start <= start < node.span.end
        ]
        if not made or not bodies:
            raise fail(self.graph, paths[0], f"{paths[0]} is one of several that a call makes")
        counter, kind = self._fresh(), stem.rpartition(".")[2]
        others = " and ".join(f"{counter} != {path[len(stem) :]}" for path in paths)
        call = self.tree.source.text[start:end]
        self.texts[region] = (
            f"{{ {counter} = {counter} + 1\n if {others} {{ {kind}{{{counter}}}: {call} }} }}"
        )
        begin = self.tree.source.text.index("{", bodies[0]) + 1
        self.texts[begin, begin] = f"\nlet {counter} = {min(made) - 1}\n"

    def _labelled(self, path: str) -> str:
        """The text of a part, with its name as a label."""
        start, end = self._region(path)
        text = self.tree.source.text[start:end]
        name = path.rpartition(".")[2]
        return text if self._part(path)[0].label else f"{{ {name}: {text} }}"

    def _label_others(self, path: str) -> None:
        """Keep the names of parts that are numbered like one, by labels."""
        parent, _, last = path.rpartition(".")
        kind = last.rstrip("0123456789")
        for other in self.found.calls:
            before, _, name = other.rpartition(".")
            numbered = re.fullmatch(rf"{re.escape(kind)}\d+", name)
            if before != parent or not numbered or self._place(other) is None:
                continue
            region = self._region(other)
            once = self._times(other) == 1
            if region not in self.moved and once and not self._part(other)[0].label:
                self.texts[region] = self._labelled(other)

    def _loop(self, turns: Turns) -> str:
        """The text of a labelled loop whose rounds come in other orders."""
        text, loop = self.tree.source.text, turns.loop
        label = text[turns.step.span.start : loop.span.start]
        counter, rounds, names = self._counter(loop)
        step = ast.only_step(loop.body)
        if step and not step.label and isinstance(step.element, ast.Call | ast.Name):
            body = text[step.span.start : step.span.end]
        else:
            body = f"{{ {_inner(text[loop.body.span.start : loop.body.span.end])} }}"
        order = rounds
        for place, (path, own) in reversed(list(enumerate(turns.orders.items()))):
            if own == list(range(turns.counts[path])):
                continue
            order = str(own) if not turns.outer else (
                f"{own} if {self._condition(turns, path, place)} else {order}"
            )  # fmt: skip
        return f"{label}{{ for {counter} in {order} {{ {names}{{{counter}}}: {body} }} }}"

    def _counter(self, loop: ast.For | ast.Repeat) -> tuple[str, str, str]:
        """The name that counts the rounds, the list of all of them, and what the names are then."""
        text = self.tree.source.text
        if isinstance(loop, ast.Repeat):
            count = text[loop.count.span.start : loop.count.span.end]
            return self._fresh(), f"range({count})", ""
        values = text[loop.values.span.start : loop.values.span.end]
        if len(loop.names) == 1 and re.fullmatch(r"range\([^,]*\)", values):
            return loop.names[0].text, values, ""
        counter = self._fresh()
        names = ", ".join(name.text for name in loop.names)
        return counter, f"range(len({values}))", f"let {names} = ({values})[{counter}]\n"

    def _fresh(self) -> str:
        words = set(re.findall(r"\w+", self.tree.source.text)) | self.taken
        name = next(name for name in COUNTERS if name not in words)
        self.taken.add(name)
        return name

    def _condition(self, turns: Turns, path: str, place: int) -> str:
        """That it is the round of the loop around in which a loop has made a path."""
        text = self.tree.source.text
        if len(turns.outer) == 1 and isinstance(loop := turns.outer[0], ast.For):
            values = text[loop.values.span.start : loop.values.span.end]
            counts = re.match(r"enumerate\(" if len(loop.names) > 1 else r"range\([^,]*\)$", values)
            if counts:
                return f"{loop.names[0].text} == {place}"
        hint = "begin that loop by a counter: for i, … in enumerate(…)"
        raise fail(self.graph, path, f"the loop around {path} does not count its rounds", hint)


def _placed(tree: ast.Tree) -> Iterator[tuple[ast.Tree, tuple[ast.Tree, ...]]]:
    """All nodes of a tree, each with those around it."""
    pending: list[tuple[ast.Tree, tuple[ast.Tree, ...]]] = [(tree, ())]
    while pending:
        node, parents = pending.pop()
        yield node, parents
        pending += [(child, (*parents, node)) for child in ast.children(node)]


def _rounds(graph: Graph, path: str) -> int:
    """How many rounds a labelled loop has made."""
    start = len(path) + 1
    names = [*graph.scopes, *graph.nx]
    numbers = {
        name[start:].split(".")[0] for name in names if is_under(name, path) and name != path
    }
    return len(numbers) if all(map(str.isdigit, numbers)) else 0


def _contains(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _over(part: Sequence[ast.Step]) -> Span:
    first, last = part[0].span, part[-1].span
    return Span(first.source, first.start, last.end)


def _inner(body: str) -> str:
    """The statements of a body, without its braces."""
    return body[1:-1].strip() if body.startswith("{") else body
