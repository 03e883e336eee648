"""What a single name means: the declared, blocks of the file, and what the language has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from cnndsl.diagnostics import Note
from cnndsl.ir.attributes import Kind, attribute_kinds
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.photo import Photo
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.foreign import value_remark
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES, Function, Size
from cnndsl.language.messages import Problem, meant
from cnndsl.language.scopes import Local, Names, Scope
from cnndsl.language.signatures import Signature, match_arguments, signature_of
from cnndsl.language.units import BlockValue, Unit
from cnndsl.recipes.items import kinds_of
from cnndsl.recipes.registry import ITEMS

Meaning: TypeAlias = Local | BlockValue | type[Operator] | str | Size | Function

JOINS = {name: operator for name, operator in BY_NAME.items() if operator.operands is None}
OPERATORS = {name: operator for name, operator in BY_NAME.items() if name != "input"}
BUILT_IN: dict[str, Meaning] = {**FUNCTIONS, **SHAPE_NAMES, **CONSTANTS, **OPERATORS}
WORDS = {
    word
    for operator in OPERATORS.values()
    for kind in attribute_kinds(operator).values()
    for word in kind.words
}
"""What operators take as text, such as "linear"."""
KEEP_LISTS = "a name with {…} in it names no value; keep values in a list: a = a + [value]"


class Meanings:
    """The meanings of the names in one file, and what is wrong with each.

    `labels` gives those of the present item; `used` are the blocks and networks that it names,
    `recipes` the networks that have recipes.
    """

    def __init__(self, unit: Unit):
        self.unit = unit
        self.used: set[str] = set()
        self.labels: Callable[[], list[ast.Label]] = list
        self.recipes: dict[str, ast.Name] = {}
        self.names = Names(unit.meanings, unit.findings)
        self.report = self.names.report

    def name(self, node: ast.Name, scope: Scope, argument: ast.Argument | None = None) -> None:
        """A name that is read, as the value of an argument or elsewhere."""
        local = scope.find(node.text)
        if local is not None:
            self.names.read(local, scope)
        elif node.text in self.unit.blocks:
            self.used.add(node.text)
        meaning = local or self.unit.blocks.get(node.text) or BUILT_IN.get(node.text)
        if meaning is not None:
            self.unit.meanings[id(node)] = meaning
        else:
            self.unknown(node, "name", self._hint(node.text, scope, argument))

    def function(self, node: ast.Expression, scope: Scope) -> bool:
        """Whether a function is called; `max` is one there, and an operator elsewhere."""
        function = FUNCTIONS.get(node.text) if isinstance(node, ast.Name) else None
        if function is None or scope.find(function.name):
            return False
        self.unit.meanings[id(node)] = function
        return True

    def join(self, operator: ast.Name) -> None:
        """The name of a join."""
        if operator.text in JOINS:
            self.unit.meanings[id(operator)] = JOINS[operator.text]
            return
        made = any(len(each.parts) > 1 and each.parts[0] == operator.text for each in self.labels())
        hint = KEEP_LISTS if made else meant(operator.text, JOINS) or f"joins: {', '.join(JOINS)}"
        self.report("E0201", f"{operator.text!r} does not join branches", operator, hint=hint)

    def assign(self, name: ast.Name, scope: Scope) -> None:
        """A name that gets another value."""
        if self.names.assign(name, scope):
            return
        known = self.unit.blocks.get(name.text) or BUILT_IN.get(name.text)
        if known is None:
            seen = [local for s in scope.chain() for local in s.locals]
            hint = meant(name.text, seen) or f"let {name.text} = … keeps a new value"
            self.unknown(name, "name", hint)
        else:
            hint = f"let {name.text} = … hides it up to the end of the braces"
            message = f"{name.text!r} is part of the language or of the file, no kept value"
            self.report("E0222", message, name, hint=hint)

    def output(self, name: ast.Name, scope: Scope) -> None:
        """An output can be read behind its declaration, unless its name means something else."""
        known = scope.find(name.text) or name.text in self.unit.blocks or name.text in BUILT_IN
        if not known:
            self.names.declare(name, scope, "output")

    def size(self, name: ast.Name, scope: Scope) -> None:
        """An open size can be read behind its input, unless its name means something else."""
        if name.text not in self.unit.blocks and name.text not in BUILT_IN:
            self.names.declare(name, scope, "size")

    def photo(self, call: ast.Call) -> None:
        """What stands behind the shape of an input, and its arguments."""
        callee = call.callee
        assert isinstance(callee, ast.Name)
        if callee.text != Photo.name:
            hint = meant(callee.text, [Photo.name]) or "input image [3, 224, 224] photo(…)"
            message = f"behind the shape of an input stands photo(…), not {callee.text!r}"
            self.report("E0201", message, callee, hint=hint)
            return
        self.unit.meanings[id(callee)] = Photo
        self.match(signature_of(Photo), call.arguments, call)

    def choice(self, argument: ast.Argument, scope: Scope) -> bool:
        """Whether an argument of `photo` is a name that means nothing; what it takes is told."""
        name, kinds = argument.value, attribute_kinds(Photo)
        if argument.name is None or argument.name.text not in kinds:
            return False
        if not isinstance(name, ast.Name) or scope.find(name.text) or name.text in BUILT_IN:
            return False
        takes = kinds[argument.name.text].says
        self.unknown(name, "name", f"{argument.name.text} takes {takes}")
        return True

    def trained(self, name: ast.Name) -> None:
        """A network that a recipe is for; of two recipes for one the second is wrong."""
        self.used.add(name.text)
        if name.text not in self.unit.networks:
            self.unknown(name, "network", meant(name.text, self.unit.networks))
        first = self.recipes.setdefault(name.text, name)
        if first is not name:
            notes = (Note("the first one", first.span),)
            self.report("E0202", f"{name.text!r} has two recipes", name, notes=notes)

    def item(self, ingredient: ast.Name | ast.Call) -> dict[int, Kind]:
        """An item of a recipe; what each of its arguments, by its `id`, takes."""
        callee = ingredient.callee if isinstance(ingredient, ast.Call) else ingredient
        assert isinstance(callee, ast.Name)
        item = ITEMS.get(callee.text)
        if item is None:
            hint = meant(callee.text, ITEMS) or "cnndsl list recipes shows all items"
            self.report("E0201", f"unknown item {callee.text!r} of a recipe", callee, hint=hint)
            return {}
        self.unit.meanings[id(callee)] = item
        arguments = ingredient.arguments if isinstance(ingredient, ast.Call) else ()
        try:
            matched = match_arguments(signature_of(item), arguments, ingredient.span, set())
        except Problem:  # told where the item is built
            return {}
        kinds = kinds_of(item)
        return {id(argument): kinds[name] for name, argument in matched.items()}

    def word(self, value: ast.Expression, kind: Kind | None) -> bool:
        """Whether one of some words is wanted; a name that is none of them is told."""
        if kind is None or not kind.words or not isinstance(value, ast.Name):
            return False
        if value.text in kind.words:
            self.unit.meanings[id(value)] = value.text
        else:
            hint = meant(value.text, kind.words) or f"it takes {kind.says}"
            self.unknown(value, "name", hint)
        return True

    def default(self, name: ast.Name) -> type[Operator] | type[Photo] | BlockValue | None:
        """The operator or block that defaults are given for, or photo."""
        known: dict[str, Any] = {**OPERATORS, Photo.name: Photo, **self.unit.blocks}
        target: type[Operator] | type[Photo] | BlockValue | None = known.get(name.text)
        self.used.add(name.text)
        if target is None:
            hint = meant(name.text, known)
            self.unknown(name, "operator or block", hint)
        else:
            self.unit.meanings[id(name)] = target
        return target

    def match(
        self, signature: Signature, arguments: Sequence[ast.Argument], place: ast.Tree
    ) -> None:
        """The arguments of a call."""
        try:
            match_arguments(signature, arguments, place.span, set())
        except Problem as problem:
            self.unit.findings.append(problem.diagnostic)

    def unknown(self, name: ast.Name, what: str, hint: str | None) -> None:
        """A name that means nothing, unless an earlier error is to blame."""
        if name.text not in self.unit.missing:
            self.report("E0201", f"unknown {what} {name.text!r}", name, hint=hint)

    def unused_imports(self) -> None:
        """Imports that no item has used."""
        for item in self.unit.tree.items:
            for name in item.names if isinstance(item, ast.Import) else ():
                known = {*self.unit.blocks, *self.unit.networks}
                if name.text in known and name.text not in self.used:
                    self.report("W0203", f"{name.text!r} is imported and never used", name)

    def _hint(self, name: str, scope: Scope, argument: ast.Argument | None) -> str | None:
        if name in self.unit.networks:
            return "it is a network; a step is an operator or a block"
        made = next((label for label in self.labels() if label.pattern.fullmatch(name)), None)
        if made is not None and len(made.parts) == 1:
            return f"a label names an instance; to use its value later: let {name} = …"
        if made is not None:
            return KEEP_LISTS
        keyword = argument.name.text if argument is not None and argument.name is not None else ""
        if hint := value_remark(keyword, name):
            return hint
        if argument is not None and name in WORDS:
            return f'as a word for an operator it stands in quotes: "{name}"'
        if len(self.unit.findings) > limits.HINTS:
            return None
        seen = [known for s in scope.chain() for known in s.locals]
        return meant(name, [*seen, *self.unit.blocks, *BUILT_IN])
