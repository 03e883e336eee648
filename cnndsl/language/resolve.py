"""What each name of a file stands for, found from the text alone, in every block.

Blocks that no network uses are resolved too. What depends on values (shapes, arguments of blocks
that are passed as parameters) is found when a network is elaborated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, partial
from itertools import takewhile
from typing import Any, TypeAlias

from cnndsl.diagnostics import Diagnostic, Note
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import BY_NAME
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES, Function, Size
from cnndsl.language.messages import Problem, meant
from cnndsl.language.signatures import (
    Signature,
    definition_signature,
    match_arguments,
    signature_of,
)
from cnndsl.language.units import BlockValue, Unit


@dataclass(eq=False)
class Local:
    """A name that is declared between braces.

    `reads` are the scopes in which it is read; `hiding` are names that hid it, each with the
    scope around the braces that they ended with.
    """

    name: ast.Name
    what: str
    scope: Scope
    reads: list[Scope] = field(default_factory=list)
    hiding: list[tuple[ast.Name, Scope]] = field(default_factory=list)


@dataclass(eq=False)
class Scope:
    """The names inside a pair of braces, in the order of their declaration."""

    outer: Scope | None = None
    is_loop: bool = False
    locals: dict[str, Local] = field(default_factory=dict)
    hiding: list[tuple[Local, ast.Name]] = field(default_factory=list)

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def find(self, name: str) -> Local | None:
        """What a name stands for here, if it was declared."""
        return next((s.locals[name] for s in self.chain() if name in s.locals), None)


Meaning: TypeAlias = Local | BlockValue | type[Operator] | str | Size | Function

JOINS = {name: operator for name, operator in BY_NAME.items() if operator.operands is None}
_OPERATORS = {name: operator for name, operator in BY_NAME.items() if name != "input"}
_BUILT_IN: dict[str, Meaning] = {**FUNCTIONS, **SHAPE_NAMES, **CONSTANTS, **_OPERATORS}


def resolve(unit: Unit) -> None:
    """Find the meaning of all names of a loaded file, and what is wrong with them and its calls.

    A name that means nothing gets none; what is wrong goes into the unit's findings.
    """
    broken = bool(unit.findings)
    resolver = _Resolver(unit)
    for item in unit.tree.items:
        resolver.item(item)
    if not broken:
        resolver.unused_imports()


class _Resolver:
    def __init__(self, unit: Unit):
        self.unit = unit
        self.used: set[str] = set()
        self.labels: Callable[[], set[str]] = set

    def report(self, code: str, message: str, place: ast.Tree, **more: Any) -> None:
        self.unit.findings.append(Diagnostic(code, message, place.span, **more))

    def item(self, item: ast.Item) -> None:
        scope = Scope()
        match item:
            case ast.Definition():
                self.labels = cache(partial(_labels, item))
                for parameter in item.parameters:
                    if parameter.default is not None:
                        self.expression(parameter.default, scope)
                    self.declare(parameter.name, scope, "parameter")
                self.body(item.body, scope)
                self.unused(scope)
            case ast.Alias():
                self.alias(item, scope)
            case ast.Defaults():
                self.defaults(item, scope)

    def alias(self, item: ast.Alias, scope: Scope) -> None:
        call = item.call
        callee = call.callee if isinstance(call, ast.Call) else call
        if not isinstance(callee, ast.Name):
            return
        self.used.add(callee.text)
        if callee.text not in self.unit.networks:
            self.unknown(callee, "network", meant(callee.text, self.unit.networks))
        if isinstance(call, ast.Call):
            _, target = self.unit.networks.get(callee.text, (None, None))
            if isinstance(target, ast.Definition):
                self.match(definition_signature(target), call.arguments, call)
            for argument in call.arguments:
                self.expression(argument.value, scope)

    def unknown(self, name: ast.Name, what: str, hint: str | None) -> None:
        if name.text not in self.unit.missing:
            self.report("E0201", f"unknown {what} {name.text!r}", name, hint=hint)

    def unused(self, scope: Scope) -> None:
        for text, local in scope.locals.items():
            if not local.reads and local.what != "input" and not text.startswith("_"):
                message = f"the {local.what} {text!r} is never used"
                hint = "remove it, or start its name with an underscore"
                self.report("W0201", message, local.name, hint=hint)

    def unused_imports(self) -> None:
        for item in self.unit.tree.items:
            for name in item.names if isinstance(item, ast.Import) else ():
                known = {*self.unit.blocks, *self.unit.networks}
                if name.text in known and name.text not in self.used:
                    self.report("W0203", f"{name.text!r} is imported and never used", name)

    # Declarations

    def declare(self, name: ast.Name, scope: Scope, what: str) -> None:
        known = scope.locals.get(name.text)
        if known:
            first = Note("first declared here", known.name.span)
            self.report("E0202", f"{name.text!r} is declared twice", name, notes=(first,))
        scope.locals[name.text] = self.unit.meanings[id(name)] = Local(name, what, scope)

    def let(self, name: ast.Name, scope: Scope) -> None:
        """Declare a kept value. It hides one of the same name, which stays as it is."""
        outer = scope.find(name.text)
        if outer is not None and scope.outer is not None and outer.scope is not scope:
            inside = takewhile(lambda s: s is not outer.scope, scope.chain())
            loops = [s for s in inside if s.is_loop]
            if loops and any(loops[-1] in read.chain() for read in outer.reads):
                self.hidden(outer, name, "every round starts with the outer one again")
            elif loops and loops[-1].outer is not None:
                loops[-1].outer.hiding.append((outer, name))
        self.declare(name, scope, "value")

    def hidden(self, outer: Local, name: ast.Name, remark: str) -> None:
        message = f"this is another {name.text!r}, which ends with its braces: {remark}"
        notes = (Note(f"the {outer.what} of that name stays as it is", outer.name.span),)
        hint = "what goes on from round to round is the value at hand; or choose another name"
        self.report("W0209", message, name, notes=notes, hint=hint)

    # Statements

    def body(self, body: ast.Body, scope: Scope) -> None:
        for statement in body.statements:
            self.statement(statement, scope)

    def braces(
        self, body: ast.Body, outer: Scope, names: Sequence[ast.Name] = (), *, is_loop: bool = False
    ) -> None:
        scope = Scope(outer, is_loop)
        for name in names:
            self.declare(name, scope, "name")
            scope.locals[name.text].reads.append(scope)
        self.body(body, scope)
        self.unused(scope)

    def statement(self, statement: ast.Statement, scope: Scope) -> None:
        match statement:
            case ast.Chain():
                self.chain(statement, scope)
            case ast.InputDeclaration():
                for size in statement.shape.items:
                    if not isinstance(size, ast.Name) or scope.find(size.text):
                        self.expression(size, scope)
                self.declare(statement.name, scope, "input")
            case ast.Let():
                self.chain(statement.chain, scope)
                self.let(statement.name, scope)
            case ast.LayerDeclaration():
                self.expression(statement.call, scope)
                self.declare(statement.name, scope, "layer")
            case ast.OutputDeclaration():
                self.chain(statement.chain, scope)
            case ast.AuxiliaryDeclaration():
                for argument in statement.arguments:
                    self.expression(argument.value, scope)
                self.chain(statement.chain, scope)
            case ast.Defaults():
                self.defaults(statement, scope)

    def defaults(self, statement: ast.Defaults, scope: Scope) -> None:
        for default in statement.defaults:
            name = default.name.text
            target = self.unit.blocks.get(name) or _OPERATORS.get(name)
            signature = signature_of(target) if target else None
            self.used.add(name)
            if target is None:
                known = [*self.unit.blocks, *_OPERATORS]
                self.unknown(default.name, "operator or block", meant(name, known))
            else:
                self.unit.meanings[id(default.name)] = target
            for argument in default.arguments:
                self.expression(argument.value, scope)
                if argument.name is None:
                    first = signature.parameters[:1] if signature else ()
                    hint = f"such as {name}({first[0]}=…)" if first else None
                    self.report("E0205", "defaults are given by keyword", argument, hint=hint)
            if signature is not None:
                named = [a for a in default.arguments if a.name is not None]
                self.match(signature, named, default)

    def chain(self, chain: ast.Chain, scope: Scope) -> None:
        for step in chain.steps:
            for part in step.label.parts if step.label else ():
                if not isinstance(part, str):
                    self.expression(part, scope)
            self.element(step.element, scope)

    def element(self, element: ast.Element, scope: Scope) -> None:
        match element:
            case ast.Join():
                self.join(element.operator)
                for branch in element.branches:
                    self.braces(branch, scope)
            case ast.If():
                self.expression(element.condition, scope)
                self.braces(element.then, scope)
                if element.otherwise is not None:
                    self.braces(element.otherwise, scope)
            case ast.For():
                self.expression(element.values, scope)
                self.braces(element.body, scope, element.names, is_loop=True)
            case ast.Repeat():
                self.expression(element.count, scope)
                self.braces(element.body, scope, is_loop=True)
            case ast.Group():
                self.braces(element.body, scope)
            case _:
                self.expression(element, scope)
        for outer, name in scope.hiding:
            outer.hiding.append((name, scope))
        scope.hiding.clear()

    def join(self, operator: ast.Name) -> None:
        if operator.text in JOINS:
            self.unit.meanings[id(operator)] = JOINS[operator.text]
            return
        hint = meant(operator.text, JOINS) or f"joins: {', '.join(JOINS)}"
        self.report("E0201", f"{operator.text!r} does not join branches", operator, hint=hint)

    # Expressions

    def expression(self, node: ast.Expression, scope: Scope) -> None:
        match node:
            case ast.Name():
                self.name(node, scope)
            case ast.Call():
                self.callee(node.callee, scope)
                for argument in node.arguments:
                    self.expression(argument.value, scope)
                target = self.unit.meanings.get(id(node.callee))
                if isinstance(target, BlockValue | type):
                    self.match(signature_of(target), node.arguments, node)
            case _:
                for child in _children(node):
                    self.expression(child, scope)

    def callee(self, node: ast.Expression, scope: Scope) -> None:
        """What is called; `max` is a function there, and an operator elsewhere."""
        function = FUNCTIONS.get(node.text) if isinstance(node, ast.Name) else None
        if function and not scope.find(function.name):
            self.unit.meanings[id(node)] = function
        else:
            self.expression(node, scope)

    def name(self, node: ast.Name, scope: Scope) -> None:
        local = scope.find(node.text)
        if local is not None:
            self.read(local, scope)
        elif node.text in self.unit.blocks:
            self.used.add(node.text)
        meaning = local or self.unit.blocks.get(node.text) or _BUILT_IN.get(node.text)
        if meaning is not None:
            self.unit.meanings[id(node)] = meaning
        else:
            self.unknown(node, "name", self.hint(node.text, scope))

    def hint(self, name: str, scope: Scope) -> str | None:
        if name in self.unit.networks:
            return "it is a network; a step is an operator or a block"
        if name in self.labels():
            return f"a label names an instance; to use its value later: let {name} = …"
        if len(self.unit.findings) > limits.HINTS:
            return None
        seen = [known for s in scope.chain() for known in s.locals]
        return meant(name, [*seen, *self.unit.blocks, *_BUILT_IN])

    def read(self, local: Local, scope: Scope) -> None:
        local.reads.append(scope)
        for name, around in list(local.hiding):
            if around in scope.chain():
                local.hiding.remove((name, around))
                self.hidden(local, name, "behind the loop the outer one is read")

    def match(
        self, signature: Signature, arguments: Sequence[ast.Argument], place: ast.Tree
    ) -> None:
        try:
            match_arguments(signature, arguments, place.span, set())
        except Problem as problem:
            self.unit.findings.append(problem.diagnostic)


def _labels(tree: ast.Tree) -> set[str]:
    """The labels without expressions in a tree."""
    found, pending = set(), [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Label) and len(node.parts) == 1 and isinstance(node.parts[0], str):
            found.add(node.parts[0])
        pending += _children(node)
    return found


def _children(node: ast.Tree) -> Iterator[Any]:
    """The nodes directly inside a node."""
    for part in fields(node):
        value = getattr(node, part.name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, ast.Tree):
                yield child
