"""Checks of a file's text alone: names, arguments and unused definitions, in every block.

They find what is wrong in blocks that no network uses, too. What depends on values (shapes,
arguments of blocks that are passed as parameters) is found when a network is elaborated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from cnndsl.diagnostics import Diagnostic, Note
from cnndsl.ir.operators import BY_NAME
from cnndsl.language import tree as ast
from cnndsl.language.arguments import Signature, definition_signature, match_arguments, signature_of
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES
from cnndsl.language.problem import Problem, meant
from cnndsl.language.units import Unit

_JOINS = [name for name, operator in BY_NAME.items() if operator.operands is None]
_OPERATORS = [name for name in BY_NAME if name != "input"]


def check_unit(unit: Unit) -> list[Diagnostic]:
    """All findings about the names and calls of a file."""
    checker = _Checker(unit)
    for item in unit.tree.items:
        checker.item(item)
    checker.unused_imports()
    return checker.findings


@dataclass
class _Scope:
    """Names inside a pair of braces: where each is declared, as what, and which were read."""

    declared: dict[str, tuple[ast.Name, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    outer: _Scope | None = None

    def find(self, name: str) -> _Scope | None:
        scope: _Scope | None = self
        while scope is not None and name not in scope.declared:
            scope = scope.outer
        return scope

    def all_names(self) -> Iterator[str]:
        scope: _Scope | None = self
        while scope is not None:
            yield from scope.declared
            scope = scope.outer


class _Checker:
    def __init__(self, unit: Unit):
        self.unit = unit
        self.findings: list[Diagnostic] = []
        self.used_items: set[str] = set()

    def report(self, problem: Problem) -> None:
        self.findings.append(problem.diagnostic)

    def item(self, item: ast.Item) -> None:
        scope = _Scope()
        match item:
            case ast.Definition():
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

    def alias(self, item: ast.Alias, scope: _Scope) -> None:
        call = item.call
        callee = call.callee if isinstance(call, ast.Call) else call
        if not isinstance(callee, ast.Name):
            return
        self.used_items.add(callee.text)
        if callee.text not in self.unit.networks:
            hint = meant(callee.text, self.unit.networks)
            self.unknown(callee, "network", hint)
        elif isinstance(call, ast.Call):
            definition = self.unit.networks[callee.text][1]
            if isinstance(definition, ast.Definition):
                self.arguments(definition_signature(definition), call)
        if isinstance(call, ast.Call):
            for argument in call.arguments:
                self.expression(argument.value, scope)

    def unknown(self, name: ast.Name, what: str, hint: str | None) -> None:
        if name.text not in self.unit.missing:
            self.report(Problem("E0201", f"unknown {what} {name.text!r}", name.span, hint=hint))

    def declare(self, name: ast.Name, scope: _Scope, what: str) -> None:
        if name.text in scope.declared:
            first = Note("first declared here", scope.declared[name.text][0].span)
            message = f"{name.text!r} is declared twice"
            self.report(Problem("E0202", message, name.span, notes=[first]))
        scope.declared[name.text] = (name, what)

    def unused(self, scope: _Scope) -> None:
        for text, (name, what) in scope.declared.items():
            if text not in scope.used and not text.startswith("_"):
                message = f"the {what} {text!r} is never used"
                hint = "remove it, or start its name with an underscore"
                self.findings.append(Diagnostic("W0201", message, name.span, hint))

    def unused_imports(self) -> None:
        for item in self.unit.tree.items:
            for name in item.names if isinstance(item, ast.Import) else ():
                known = {*self.unit.blocks, *self.unit.networks}
                if name.text in known and name.text not in self.used_items:
                    message = f"{name.text!r} is imported and never used"
                    self.findings.append(Diagnostic("W0203", message, name.span))

    # Statements

    def body(self, body: ast.Body, scope: _Scope) -> None:
        for statement in body.statements:
            self.statement(statement, scope)

    def braces(self, body: ast.Body, outer: _Scope, loop: tuple[ast.Name, ...] = ()) -> None:
        scope = _Scope(outer=outer)
        for name in loop:
            self.declare(name, scope, "name")
            scope.used.add(name.text)
        self.body(body, scope)
        self.unused(scope)

    def statement(self, statement: ast.Statement, scope: _Scope) -> None:
        match statement:
            case ast.Chain():
                self.chain(statement, scope)
            case ast.InputDeclaration():
                for size in statement.shape.items:
                    if not isinstance(size, ast.Name) or scope.find(size.text):
                        self.expression(size, scope)
                self.declare(statement.name, scope, "input")
                scope.used.add(statement.name.text)
            case ast.Let():
                self.chain(statement.chain, scope)
                self.declare(statement.name, scope, "value")
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

    def defaults(self, statement: ast.Defaults, scope: _Scope) -> None:
        for default in statement.defaults:
            name = default.name.text
            signature = self.signature(name)
            self.used_items.add(name)
            if signature is None:
                known = [*self.unit.blocks, *_OPERATORS]
                self.unknown(default.name, "operator or block", meant(name, known))
            for argument in default.arguments:
                self.expression(argument.value, scope)
                if argument.name is None:
                    self.report(
                        Problem(
                            "E0205",
                            "defaults are given by keyword",
                            argument.span,
                            hint=_keyword_hint(name, signature),
                        )
                    )
            named = tuple(a for a in default.arguments if a.name is not None)
            if signature is not None:
                self.match(signature, named, default)

    def chain(self, chain: ast.Chain, scope: _Scope) -> None:
        for step in chain.steps:
            for part in step.label.parts if step.label else ():
                if not isinstance(part, str):
                    self.expression(part, scope)
            self.element(step.element, scope)

    def element(self, element: ast.Element, scope: _Scope) -> None:
        match element:
            case ast.Join():
                if element.operator.text not in _JOINS:
                    hint = meant(element.operator.text, _JOINS)
                    joins = f"joins: {', '.join(_JOINS)}"
                    message = f"{element.operator.text!r} does not join branches"
                    self.report(
                        Problem("E0201", message, element.operator.span, hint=hint or joins)
                    )
                for branch in element.branches:
                    self.braces(branch, scope)
            case ast.If():
                self.expression(element.condition, scope)
                self.braces(element.then, scope)
                if element.otherwise is not None:
                    self.braces(element.otherwise, scope)
            case ast.For():
                self.expression(element.values, scope)
                self.braces(element.body, scope, element.names)
            case ast.Repeat():
                self.expression(element.count, scope)
                self.braces(element.body, scope)
            case ast.Group():
                self.braces(element.body, scope)
            case _:
                self.expression(element, scope)

    # Expressions

    def expression(self, node: ast.Expression, scope: _Scope) -> None:
        match node:
            case ast.Name():
                self.name(node, scope)
            case ast.Call():
                self.call(node, scope)
            case _:
                for child in _children(node):
                    self.expression(child, scope)

    def name(self, node: ast.Name, scope: _Scope) -> None:
        owner = scope.find(node.text)
        if owner is not None:
            owner.used.add(node.text)
        elif node.text in self.unit.blocks:
            self.used_items.add(node.text)
        elif node.text not in {*_OPERATORS, *CONSTANTS, *SHAPE_NAMES, *FUNCTIONS}:
            known = [
                *scope.all_names(),
                *self.unit.blocks,
                *_OPERATORS,
                *CONSTANTS,
                *SHAPE_NAMES,
                *FUNCTIONS,
            ]
            is_network = node.text in self.unit.networks
            hint = "it is a network; a step is an operator or a block" if is_network else None
            self.unknown(node, "name", hint or meant(node.text, known))

    def call(self, node: ast.Call, scope: _Scope) -> None:
        self.expression(node.callee, scope)
        for argument in node.arguments:
            self.expression(argument.value, scope)
        if isinstance(node.callee, ast.Name) and scope.find(node.callee.text) is None:
            signature = self.signature(node.callee.text)
            if signature is not None and node.callee.text not in FUNCTIONS:
                self.arguments(signature, node)

    def signature(self, name: str) -> Signature | None:
        if name in self.unit.blocks:
            return signature_of(self.unit.blocks[name])
        return signature_of(BY_NAME[name]) if name in _OPERATORS else None

    def arguments(self, signature: Signature, call: ast.Call) -> None:
        self.match(signature, call.arguments, call)

    def match(
        self, signature: Signature, arguments: tuple[ast.Argument, ...], place: ast.Tree
    ) -> None:
        try:
            match_arguments(signature, arguments, place.span, set())
        except Problem as problem:
            self.report(problem)


def _keyword_hint(name: str, signature: Signature | None) -> str | None:
    """How the first parameter's default is written."""
    if signature is None or not signature.parameters:
        return None
    return f"such as {name}({signature.parameters[0]}=…)"


def _children(node: Any) -> Iterator[Any]:
    """The expressions directly inside an expression other than a name or call."""
    for part in fields(node):
        value = getattr(node, part.name)
        if isinstance(value, tuple):
            yield from value
        elif isinstance(value, ast.Tree):
            yield value
