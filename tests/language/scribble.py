"""Texts of syntax trees in random layouts.

A text is a sequence of tokens with white space and comments between them; the tokens come from the
tree by the grammar alone, so that nothing here is shared with the formatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from cnndsl.language import tree as ast

COMMENTS = (
    "#",
    "# comment",
    '#"quoted" text',
    "# { | } -> (",
    "# trailing space \t",
    "# " + "é" * 90,
)

SEPARATOR = "\n"


def tokens(node: ast.Tree) -> list[str]:
    """The tokens of a tree; SEPARATOR stands where a line must end."""
    match node:
        case ast.File():
            return _joined(node.items, SEPARATOR)
        case ast.Import():
            return ["import", *_joined(node.names), "from", node.path.text]
        case ast.Definition():
            parameters = ["(", *_joined(node.parameters), ")"] if node.parameters else []
            return [node.keyword, node.name.text, *parameters, *tokens(node.body)]
        case ast.ParameterDeclaration():
            default = ["=", *tokens(node.default)] if node.default else []
            return [node.name.text, *default]
        case ast.Alias():
            return ["network", node.name.text, "=", *tokens(node.call)]
        case ast.RecipeDefinition():
            items = _joined(node.ingredients, SEPARATOR)
            return ["recipe", *_joined(node.networks), "{", *items, "}"]
        case ast.InputDeclaration():
            photo = tokens(node.photo) if node.photo else []
            return ["input", node.name.text, *tokens(node.shape), *photo]
        case ast.Let():
            return ["let", *_joined(node.names), "=", *tokens(node.chain)]
        case ast.Assign():
            return [*_joined(node.names), "=", *tokens(node.chain)]
        case ast.LayerDeclaration():
            return ["layer", node.name.text, "=", *tokens(node.call)]
        case ast.OutputDeclaration():
            return ["output", *_joined(node.names), "=", *tokens(node.chain)]
        case ast.Return():
            return ["return", *_joined(node.chains)]
        case ast.Each():
            return [*tokens(node.what), *tokens(node.rounds)]
        case ast.Rounds():
            condition = ["if", *tokens(node.condition)] if node.condition else []
            return ["for", *_joined(node.names), "in", *tokens(node.values), *condition]
        case ast.AuxiliaryDeclaration():
            arguments = ["(", *_joined(node.arguments), ")"]
            return ["auxiliary", node.name.text, *arguments, "=", *tokens(node.chain)]
        case ast.Defaults():
            return ["defaults", *_joined(node.defaults)]
        case ast.Default():
            return [node.name.text, "(", *_joined(node.arguments), ")"]
        case ast.Chain():
            return _joined(node.steps, "->")
        case ast.Step():
            label = [f"{''.join(tokens(node.label))}:"] if node.label else []
            return [*label, *tokens(node.element)]
        case ast.Label():
            parts = (p if isinstance(p, str) else f"{{{' '.join(tokens(p))}}}" for p in node.parts)
            return ["".join(parts)]
        case ast.Body():
            return ["{", *_joined(node.statements, SEPARATOR), "}"]
        case ast.Join():
            branches = [
                _joined(branch.statements, SEPARATOR)
                if isinstance(branch, ast.Body)
                else tokens(branch)
                for branch in node.branches
            ]
            bars = [token for branch in branches for token in ("|", *branch)][1:]
            return [node.operator.text, "{", *bars, "}"]
        case ast.If():
            otherwise = ["else", *tokens(node.otherwise)] if node.otherwise else []
            return ["if", *tokens(node.condition), *tokens(node.then), *otherwise]
        case ast.For():
            return ["for", *_joined(node.names), "in", *tokens(node.values), *tokens(node.body)]
        case ast.Repeat():
            return ["repeat", *tokens(node.count), *tokens(node.body)]
        case ast.Group():
            return tokens(node.body)
        case ast.Name() | ast.Literal():
            return [node.text]
        case ast.ListOf():
            return ["[", *_joined(node.items), "]"]
        case ast.Parenthesised():
            return ["(", *tokens(node.inner), ")"]
        case ast.Unary():
            return [node.operator, *tokens(node.operand)]
        case ast.Binary():
            return [*tokens(node.left), node.operator, *tokens(node.right)]
        case ast.Conditional():
            condition = ["if", *tokens(node.condition), "else"]
            return [*tokens(node.then), *condition, *tokens(node.otherwise)]
        case ast.Index():
            return [*tokens(node.values), "[", *tokens(node.position), "]"]
        case ast.Call():
            return [*tokens(node.callee), "(", *_joined(node.arguments), ")"]
        case ast.Argument():
            return [*([node.name.text, "="] if node.name else []), *tokens(node.value)]
    raise AssertionError(f"no tokens for {type(node).__name__}")


def _joined(nodes: Sequence[ast.Tree], separator: str = ",") -> list[str]:
    return [token for node in nodes for token in (separator, *tokens(node))][1:]


@dataclass
class Writer:
    """Writes tokens with random white space and, if `commented`, comments between them."""

    random: Random
    commented: bool
    comments: list[str] = field(default_factory=list)

    def text(self, tree: ast.File) -> str:
        parts = [self._gap(0.5)]
        brackets: list[str] = []
        for token, following in pairwise([*tokens(tree), ""]):
            if token == SEPARATOR:
                parts.append(self._break())
                continue
            parts.append(token)
            if token in ("(", "[", "{"):
                brackets.append(token)
            elif token in (")", "]", "}"):
                brackets.pop()
            free = token in ("{", "|", "->") or following in ("}", "|", "->", "else", "")
            if free or (brackets and brackets[-1] != "{"):
                parts.append(self._gap(0.2))
            else:
                parts.append(self.random.choice([" ", "  ", "\t"]))
        return "".join(parts)

    def _gap(self, chance: float) -> str:
        return self._break() if self.random.random() < chance else " "

    def _break(self) -> str:
        lines = []
        for _ in range(self.random.choice([1, 1, 1, 2, 4])):
            comment = ""
            if self.commented and self.random.random() < 0.3:
                comment = self.random.choice(COMMENTS)
                self.comments.append(comment.rstrip())
            lines.append(self.random.choice(["", " ", "\t"]) + comment)
        return "\n".join([*lines, " " * self.random.randrange(9)])
