"""The statements of a forward pass: what is written as one expression, and the variables."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from cnndsl.backends.torch.classes import Class, rendered
from cnndsl.backends.torch.code import Operand
from cnndsl.backends.torch.instances import Made
from cnndsl.backends.torch.names import python_name

LONGEST = 76
"""Letters of an expression that others are written into."""

VARIABLES = ("x", "y", "z", "u", "v", "w", "a", "b", "c", "d")


@dataclass(eq=False)
class Expression:
    """What a statement computes: the step that is computed last, and the expressions it reads."""

    index: int
    step: Made
    operands: list[Expression | str]
    depth: int = 0
    reads: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Statement:
    """A line, and whether it acts in training alone."""

    text: str
    training: bool = False


class Forward:
    """Writes the forward pass of a class. `own` gives the module of a step as text."""

    def __init__(self, made: Class, own: Callable[[Made], str], names: Sequence[str]):
        self.made = made
        self.own = own
        first = made.first
        self.steps = [(i, step) for i, step in enumerate(first.steps) if not step.dead]
        self.inputs = dict(zip(first.inputs, names, strict=True))
        self.results = first.results
        self.uses: dict[str, int] = {}
        for _, step in self.steps:
            for name in step.operands:
                self.uses[name] = self.uses.get(name, 0) + 1
        for name in self.results:
            self.uses[name] = self.uses.get(name, 0) + 1
        self.twice = {s.path for _, s in self.steps if _repeats(s)}

    def statements(self, inlined_result: bool) -> tuple[list[Statement], list[str]]:
        """The statements, and the variables, or expressions, of the results."""
        expressions = self._expressions(inlined_result)
        variables: dict[str, str] = dict(self.inputs)
        left = dict(self.uses)
        lines: list[Statement] = []
        for item in expressions:
            single = item.step.results[0] if len(item.step.results) == 1 else None
            text = self._text(item, variables)
            if inlined_result and item is expressions[-1] and [single] == self.results:
                return lines, [text]
            freed = []
            for name in item.reads:
                left[name] -= 1
                if not left[name] and name in variables:
                    freed.append(variables.pop(name))
            targets = [self._variable(variables, freed) for _ in item.step.results]
            for name, target in zip(item.step.results, self._distinct(targets, variables),
                                    strict=True):  # fmt: skip
                variables[name] = target
            made = ", ".join(variables[name] for name in item.step.results)
            lines.append(Statement(f"{made} = {text}", item.step.training))
            for name in item.step.results:
                if not left.get(name):
                    variables.pop(name, None)
        return lines, [variables[name] for name in self.results]

    def _expressions(self, inlined_result: bool) -> list[Expression]:
        """The steps that are statements, others written into them."""
        waiting: dict[str, Expression] = {}
        found: list[Expression] = []
        kept = set(self.results)
        for index, step in self.steps:
            operands: list[Expression | str] = []
            for name in step.operands:
                inner = waiting.get(name)
                operands.append(inner if inner else name)
            item = Expression(index, step, operands)
            for position, operand in enumerate(operands):
                if isinstance(operand, Expression) and not self._fits(item, operand):
                    found.append(operand)
                    operands[position] = step.operands[position]
            for name in step.operands:
                waiting.pop(name, None)
            inner_items = [o for o in operands if isinstance(o, Expression)]
            item.depth = 1 + max((o.depth for o in inner_items), default=0)
            item.reads = [n for o in operands for n in ([o] if isinstance(o, str) else o.reads)]
            single = len(step.results) == 1 and self.uses.get(step.results[0]) == 1
            if single and step.results[0] not in kept:
                waiting[step.results[0]] = item
            else:
                found.append(item)
        found += waiting.values()
        return sorted(found, key=lambda item: item.index)

    def _fits(self, outer: Expression, inner: Expression) -> bool:
        """Whether an expression may be written into another one."""
        if outer.step.layer.starts or outer.step.path in self.twice:
            return False
        if inner.step.training != outer.step.training or inner.depth > 3:
            return False
        names = dict.fromkeys([*inner.reads, *outer.step.operands], "x")
        others = sum(o.depth * 18 for o in outer.operands if isinstance(o, Expression))
        others += len("".join(str(p) for p in outer.step.layer.result if isinstance(p, str)))
        return len(self._text(inner, names)) + others // 2 < LONGEST

    def _text(self, item: Expression, variables: dict[str, str]) -> str:
        def operand(place: Operand) -> str:
            inner = item.operands[place.index]
            if isinstance(inner, str):
                return variables[inner]
            text = self._text(inner, variables)
            return f"({text})" if inner.step.layer.level > place.level else text

        step = item.step
        return rendered(step.layer.result, self.made.calls[item.index], operand, self.own(step))

    @staticmethod
    def _variable(variables: dict[str, str], freed: list[str]) -> str:
        """A variable that is free: one that has just been read for the last time, or a new one."""
        for name in freed:
            if name in VARIABLES:
                freed.remove(name)
                return name
        return ""

    @staticmethod
    def _distinct(targets: list[str], variables: dict[str, str]) -> Iterator[str]:
        taken = {*variables.values(), *targets}
        for target in targets:
            if not target:
                numbered = (f"{name}{i}" for i in count(1) for name in VARIABLES[:3])
                target = next(name for name in chain(VARIABLES, numbered) if name not in taken)
            taken.add(target)
            yield target


def _repeats(step: Made) -> bool:
    """Whether an operand is written twice."""
    places = [piece.index for piece in step.layer.result if isinstance(piece, Operand)]
    return len(set(places)) < len(places)


def input_names(count: int) -> list[str]:
    """Names for the operands of a part."""
    return [VARIABLES[i] if i < len(VARIABLES) else f"x{i}" for i in range(count)]


def variable_names(names: Sequence[str], taken: Container[str]) -> list[str]:
    """Names of inputs as variables, each once, and not `taken`."""
    found: list[str] = []
    for name in names:
        text = python_name(name)
        while text in found or text in taken:
            text += "_"
        found.append(text)
    return found
