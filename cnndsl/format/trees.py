"""Syntax trees that no source was parsed into, as canonical text."""

from __future__ import annotations

from collections.abc import Iterable

from cnndsl.format.formatter import format_source
from cnndsl.language import tree as ast


def format_tree(tree: ast.File) -> str:
    """A file's text. Raises TypeError for nodes that no program here needs, such as imports."""
    # Lines end with statements; the formatter breaks those that are too long.
    return format_source("\n\n".join(map(_item, tree.items)) + "\n")


def _item(node: ast.Item) -> str:
    match node:
        case ast.Definition():
            parameters = _listed("()", map(_parameter, node.parameters)) if node.parameters else ""
            return f"{node.keyword} {node.name.text}{parameters} {_braces(node.body)}"
        case ast.Defaults():
            return _statement(node)
    raise TypeError(f"{node} is not written")


def _parameter(node: ast.ParameterDeclaration) -> str:
    default = "" if node.default is None else f"={_expression(node.default)}"
    return node.name.text + default


def _statement(node: ast.Statement) -> str:
    match node:
        case ast.Chain():
            return _chain(node)
        case ast.InputDeclaration():
            photo = f" {_expression(node.photo)}" if node.photo else ""
            return f"input {node.name.text} {_expression(node.shape)}{photo}"
        case ast.Let():
            return f"let {_names(node.names)} = {_chain(node.chain)}"
        case ast.LayerDeclaration():
            return f"layer {node.name.text} = {_expression(node.call)}"
        case ast.OutputDeclaration():
            return f"output {_names(node.names)} = {_chain(node.chain)}"
        case ast.AuxiliaryDeclaration():
            arguments = _listed("()", map(_argument, node.arguments))
            return f"auxiliary {node.name.text}{arguments} = {_chain(node.chain)}"
        case ast.Defaults():
            return f"defaults {', '.join(map(_default, node.defaults))}"
    raise TypeError(f"{node} is not written")


def _names(names: Iterable[ast.Name | ast.Label]) -> str:
    return ", ".join(name.text for name in names if isinstance(name, ast.Name))


def _default(node: ast.Default) -> str:
    return node.name.text + _listed("()", map(_argument, node.arguments))


def _chain(node: ast.Chain) -> str:
    return " -> ".join(_element(step.element) for step in node.steps)


def _element(node: ast.Element) -> str:
    match node:
        case ast.Join():
            branches = " | ".join(map(_branch, node.branches))
            return f"{node.operator.text} {{ {branches} }}"
        case ast.If():
            otherwise = f" else {_braces(node.otherwise)}" if node.otherwise else ""
            return f"if {_expression(node.condition)} {_braces(node.then)}{otherwise}"
        case ast.For():
            names = ", ".join(name.text for name in node.names)
            return f"for {names} in {_expression(node.values)} {_braces(node.body)}"
        case ast.Repeat():
            return f"repeat {_expression(node.count)} {_braces(node.body)}"
        case ast.Group():
            return _braces(node.body)
    return _expression(node)


def _branch(node: ast.Body | ast.Each) -> str:
    return _expression(node) if isinstance(node, ast.Each) else _lines(node)


def _braces(body: ast.Body) -> str:
    lines = _lines(body)
    return f"{{\n{lines}\n}}" if "\n" in lines else f"{{ {lines} }}"


def _lines(body: ast.Body) -> str:
    return "\n".join(map(_statement, body.statements))


def _expression(node: ast.Listed) -> str:
    match node:
        case ast.Name() | ast.Literal():
            return node.text
        case ast.Chain():
            return _chain(node)
        case ast.Each():
            names = ", ".join(name.text for name in node.rounds.names)
            condition = node.rounds.condition
            rest = f" if {_expression(condition)}" if condition else ""
            values = _expression(node.rounds.values)
            return f"{_expression(node.what)} for {names} in {values}{rest}"
        case ast.ListOf():
            return _listed("[]", map(_expression, node.items))
        case ast.Unary():
            return f"{node.operator} {_expression(node.operand)}"
        case ast.Binary():
            return f"{_expression(node.left)} {node.operator} {_expression(node.right)}"
        case ast.Parenthesised():
            return f"({_expression(node.inner)})"
        case ast.Index():
            return f"{_expression(node.values)}[{_expression(node.position)}]"
        case ast.Conditional():
            parts = map(_expression, (node.then, node.condition, node.otherwise))
            return "{} if {} else {}".format(*parts)
        case ast.Call():
            return _expression(node.callee) + _listed("()", map(_argument, node.arguments))
    raise TypeError(f"{node} is not written")


def _argument(node: ast.Argument) -> str:
    value = _expression(node.value)
    return value if node.name is None else f"{node.name.text}={value}"


def _listed(brackets: str, items: Iterable[str]) -> str:
    return brackets[0] + ", ".join(items) + brackets[1]
