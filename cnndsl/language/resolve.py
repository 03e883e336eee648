"""What each name of a file stands for, found from the text alone, in every block.

Blocks that no network uses are resolved too. What depends on values (shapes, arguments of blocks
that are passed as parameters) is found when a network is elaborated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import cache, partial
from typing import Any, TypeAlias

from cnndsl.diagnostics import Diagnostic
from cnndsl.ir.operator import Operator
from cnndsl.ir.operators import BY_NAME
from cnndsl.language import limits
from cnndsl.language import tree as ast
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES, Function, Size
from cnndsl.language.messages import Problem, meant
from cnndsl.language.scopes import Local, Names, Scope
from cnndsl.language.signatures import (
    Signature,
    definition_signature,
    match_arguments,
    signature_of,
)
from cnndsl.language.units import BlockValue, Unit

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


def resolve_expression(unit: Unit, expression: ast.Expression) -> list[Diagnostic]:
    """Find the meanings of names in an expression from outside of a resolved file's text."""
    outside = replace(unit, findings=[])
    _Resolver(outside).expression(expression, Scope())
    return outside.findings


class _Resolver:
    def __init__(self, unit: Unit):
        self.unit = unit
        self.used: set[str] = set()
        self.labels: Callable[[], set[str]] = set
        self.last: tuple[ast.Statement, ...] = ()
        self.names = Names(unit.meanings, unit.findings)
        self.report = self.names.report

    def item(self, item: ast.Item) -> None:
        scope = Scope()
        match item:
            case ast.Definition():
                self.labels = cache(partial(_labels, item))
                self.last = item.body.statements[-1:] if item.keyword == "block" else ()
                for parameter in item.parameters:
                    if parameter.default is not None:
                        self.expression(parameter.default, scope)
                    self.names.declare(parameter.name, scope, "parameter")
                self.body(item.body, scope)
                self.names.unused(scope)
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

    def unused_imports(self) -> None:
        for item in self.unit.tree.items:
            for name in item.names if isinstance(item, ast.Import) else ():
                known = {*self.unit.blocks, *self.unit.networks}
                if name.text in known and name.text not in self.used:
                    self.report("W0203", f"{name.text!r} is imported and never used", name)

    # Statements

    def body(self, body: ast.Body, scope: Scope) -> None:
        for statement in body.statements:
            self.statement(statement, scope)

    def braces(
        self, body: ast.Body, outer: Scope, names: Sequence[ast.Name] = (), *, is_loop: bool = False
    ) -> None:
        scope = Scope(outer, is_loop)
        for name in names:
            self.names.declare(name, scope, "name").reads.append(scope)
        self.body(body, scope)
        self.names.unused(scope)

    def statement(self, statement: ast.Statement, scope: Scope) -> None:
        match statement:
            case ast.Chain():
                self.chain(statement, scope)
            case ast.InputDeclaration():
                for size in statement.shape.items:
                    if not isinstance(size, ast.Name) or scope.find(size.text):
                        self.listed(size, scope)
                self.names.declare(statement.name, scope, "input")
            case ast.Let():
                self.chain(statement.chain, scope)
                for name in statement.names:
                    self.names.let(name, scope)
            case ast.Assign():
                self.chain(statement.chain, scope)
                for name in statement.names:
                    self.assign(name, scope)
            case ast.LayerDeclaration():
                self.expression(statement.call, scope)
                self.names.declare(statement.name, scope, "layer")
            case ast.OutputDeclaration():
                self.chain(statement.chain, scope)
                self.outputs(statement, scope)
            case ast.Return():
                for chain in statement.chains:
                    self.chain(chain, scope)
                if not any(statement is last for last in self.last):
                    hint = "a network names its outputs: output name = …"
                    message = "return stands at the end of a block, outside of inner braces"
                    self.report("E0211", message, statement, hint=hint if not self.last else None)
            case ast.AuxiliaryDeclaration():
                for argument in statement.arguments:
                    self.expression(argument.value, scope)
                self.chain(statement.chain, scope)
            case ast.Defaults():
                self.defaults(statement, scope)

    def outputs(self, statement: ast.OutputDeclaration, scope: Scope) -> None:
        """An output can be read behind its declaration, unless its name means something else."""
        for name in statement.names:
            if isinstance(name, ast.Label):
                self.label(name, scope)
            elif not (scope.find(name.text) or name.text in self.unit.blocks) and (
                name.text not in _BUILT_IN
            ):
                self.names.declare(name, scope, "output")

    def assign(self, name: ast.Name, scope: Scope) -> None:
        if self.names.assign(name, scope):
            return
        known = self.unit.blocks.get(name.text) or _BUILT_IN.get(name.text)
        if known is None:
            seen = [local for s in scope.chain() for local in s.locals]
            hint = meant(name.text, seen) or f"let {name.text} = … keeps a new value"
            self.unknown(name, "name", hint)
        else:
            hint = f"let {name.text} = … hides it up to the end of the braces"
            message = f"{name.text!r} is part of the language or of the file, no kept value"
            self.report("E0222", message, name, hint=hint)

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
            if step.label:
                self.label(step.label, scope)
            self.element(step.element, scope)

    def label(self, label: ast.Label, scope: Scope) -> None:
        for part in label.parts:
            if not isinstance(part, str):
                self.expression(part, scope)

    def element(self, element: ast.Element | ast.Chain, scope: Scope) -> None:
        match element:
            case ast.Join():
                self.join(element.operator)
                for branch in element.branches:
                    self.branch(branch, scope, alone=len(element.branches) == 1)
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
            case ast.Chain():
                self.chain(element, scope)
            case _:
                self.expression(element, scope)
        self.names.leave(scope)

    def branch(self, branch: ast.Body | ast.Each, scope: Scope, *, alone: bool) -> None:
        if isinstance(branch, ast.Each):
            self.each(branch, scope)
            return
        loop = None if alone else ast.only_loop(branch)
        if loop is not None:
            message = "this loop could be one branch, or a branch for each round"
            head = _text(loop[1]).partition("{")[0].rstrip()
            hint = f"one: {{ {head} {{ … }} }}; one for each round: … {head}"
            self.report("E0206", message, loop[1], hint=hint)
        self.braces(branch, scope)

    def each(self, each: ast.Each, outer: Scope) -> None:
        """What is made in rounds sees their names, though it is written before them."""
        rounds = each.rounds
        self.expression(rounds.values, outer)
        scope = Scope(outer, is_loop=True)
        for name in rounds.names:
            self.names.declare(name, scope, "name").reads.append(scope)
        if rounds.condition is not None:
            self.expression(rounds.condition, scope)
        self.element(each.what, scope)
        self.names.unused(scope)

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
            case ast.ListOf():
                for item in node.items:
                    self.listed(item, scope)
            case _:
                for child in _children(node):
                    self.expression(child, scope)

    def listed(self, item: ast.Listed, scope: Scope) -> None:
        if isinstance(item, ast.Each):
            self.each(item, scope)
        else:
            self.element(item, scope)

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
            self.names.read(local, scope)
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

    def match(
        self, signature: Signature, arguments: Sequence[ast.Argument], place: ast.Tree
    ) -> None:
        try:
            match_arguments(signature, arguments, place.span, set())
        except Problem as problem:
            self.unit.findings.append(problem.diagnostic)


def _text(node: ast.Tree) -> str:
    return node.span.source.text[node.span.start : node.span.end]


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
