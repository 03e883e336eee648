"""What each name of a file stands for, found from the text alone, in every block.

Blocks that no network uses are resolved too. What depends on values (shapes, arguments of blocks
that are passed as parameters) is found when a network is elaborated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial

from cnndsl.diagnostics import Diagnostic
from cnndsl.ir.photo import Photo
from cnndsl.language import tree as ast
from cnndsl.language.arithmetic import ARITHMETIC
from cnndsl.language.meanings import Meanings
from cnndsl.language.messages import meant
from cnndsl.language.scopes import Scope
from cnndsl.language.signatures import definition_signature, signature_of
from cnndsl.language.units import BlockValue, Unit


def resolve(unit: Unit) -> None:
    """Find the meaning of all names of a loaded file, and what is wrong with them and its calls.

    A name that means nothing gets none; what is wrong goes into the unit's findings.
    """
    broken = bool(unit.findings)
    resolver = _Resolver(unit)
    for item in unit.tree.items:
        resolver.item(item)
    if not broken:
        resolver.meanings.unused_imports()


def resolve_expression(unit: Unit, expression: ast.Expression) -> list[Diagnostic]:
    """Find the meanings of names in an expression from outside of a resolved file's text."""
    outside = replace(unit, findings=[])
    _Resolver(outside).expression(expression, Scope())
    return outside.findings


def resolve_ingredient(unit: Unit, ingredient: ast.Name | ast.Call) -> None:
    """Find the meanings of names in an item of a recipe, and what is wrong with them."""
    _Resolver(unit).ingredient(ingredient, Scope())


class _Resolver:
    """Walks through the tree of a file, and asks what each of its names means."""

    def __init__(self, unit: Unit):
        self.unit = unit
        self.meanings = Meanings(unit)
        self.names = self.meanings.names
        self.report = self.names.report
        self.last: tuple[ast.Statement, ...] = ()

    def item(self, item: ast.Item) -> None:
        scope = Scope()
        match item:
            case ast.Definition():
                self.meanings.labels = cache(partial(_labels, item))
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
            case ast.RecipeDefinition():
                self.recipe(item, scope)

    def recipe(self, item: ast.RecipeDefinition, scope: Scope) -> None:
        for name in item.networks:
            self.meanings.trained(name)
        for ingredient in item.ingredients:
            self.ingredient(ingredient, scope)

    def ingredient(self, ingredient: ast.Name | ast.Call, scope: Scope) -> None:
        kinds = self.meanings.item(ingredient)
        for argument in ingredient.arguments if isinstance(ingredient, ast.Call) else ():
            if not self.meanings.word(argument.value, kinds.get(id(argument))):
                self.expression(argument.value, scope)

    def alias(self, item: ast.Alias, scope: Scope) -> None:
        call = item.call
        callee = call.callee if isinstance(call, ast.Call) else call
        if not isinstance(callee, ast.Name):
            return
        self.meanings.used.add(callee.text)
        if callee.text not in self.unit.networks:
            self.meanings.unknown(callee, "network", meant(callee.text, self.unit.networks))
        if isinstance(call, ast.Call):
            _, target = self.unit.networks.get(callee.text, (None, None))
            if isinstance(target, ast.Definition):
                self.meanings.match(definition_signature(target), call.arguments, call)
            for argument in call.arguments:
                self.expression(argument.value, scope)

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
                    self.size(size, scope)
                if statement.photo is not None:
                    self.photo(statement.photo, scope)
                self.names.declare(statement.name, scope, "input")
            case ast.Let():
                self.chain(statement.chain, scope)
                for name in statement.names:
                    self.names.let(name, scope)
            case ast.Assign():
                self.chain(statement.chain, scope)
                for name in statement.names:
                    self.meanings.assign(name, scope)
            case ast.LayerDeclaration():
                self.expression(statement.call, scope)
                self.names.declare(statement.name, scope, "layer")
            case ast.OutputDeclaration():
                self.chain(statement.chain, scope)
                for place in statement.names:
                    if isinstance(place, ast.Label):
                        self.label(place, scope)
                    else:
                        self.meanings.output(place, scope)
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

    def size(self, size: ast.Listed, scope: Scope) -> None:
        """A size of an input: it declares the names in it that are new, as open ones."""
        if isinstance(size, ast.Unary | ast.Binary) and size.operator in ARITHMETIC:
            for child in ast.children(size):
                self.size(child, scope)
        elif isinstance(size, ast.Name) and not scope.find(size.text):
            self.meanings.size(size, scope)
        else:
            self.listed(size, scope)

    def photo(self, call: ast.Call, scope: Scope) -> None:
        self.meanings.photo(call)
        for argument in call.arguments:
            if not self.meanings.choice(argument, scope):
                self.expression(argument.value, scope)

    def defaults(self, statement: ast.Defaults, scope: Scope) -> None:
        for default in statement.defaults:
            target = self.meanings.default(default.name)
            signature = signature_of(target) if target else None
            for argument in default.arguments:
                if target is not Photo or not self.meanings.choice(argument, scope):
                    self.expression(argument.value, scope)
                if argument.name is None:
                    first = signature.parameters[:1] if signature else ()
                    hint = f"such as {default.name.text}({first[0]}=…)" if first else None
                    self.report("E0205", "defaults are given by keyword", argument, hint=hint)
            if signature is not None:
                named = [a for a in default.arguments if a.name is not None]
                self.meanings.match(signature, named, default)

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
                self.meanings.join(element.operator)
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

    # Expressions

    def expression(self, node: ast.Expression, scope: Scope) -> None:
        match node:
            case ast.Name():
                self.meanings.name(node, scope)
            case ast.Call():
                if not self.meanings.function(node.callee, scope):
                    self.expression(node.callee, scope)
                for argument in node.arguments:
                    self.argument(argument, scope)
                target = self.unit.meanings.get(id(node.callee))
                if isinstance(target, BlockValue | type):
                    self.meanings.match(signature_of(target), node.arguments, node)
            case ast.ListOf():
                for item in node.items:
                    self.listed(item, scope)
            case _:
                for child in ast.children(node):
                    self.expression(child, scope)

    def argument(self, argument: ast.Argument, scope: Scope) -> None:
        """What a call is given, which may have been meant as a word."""
        if isinstance(argument.value, ast.Name):
            self.meanings.name(argument.value, scope, argument)
        else:
            self.expression(argument.value, scope)

    def listed(self, item: ast.Listed, scope: Scope) -> None:
        if isinstance(item, ast.Each):
            self.each(item, scope)
        else:
            self.element(item, scope)


def _text(node: ast.Tree) -> str:
    return node.span.source.text[node.span.start : node.span.end]


def _labels(tree: ast.Tree) -> list[ast.Label]:
    """The labels in a tree."""
    found: list[ast.Label] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Label):
            found.append(node)
        pending += ast.children(node)
    return found
