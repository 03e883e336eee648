"""The syntax tree: what a `.cnn` file says, before any of it means something.

Nodes compare by content; their spans do not count, so a tree equals the tree of its printed form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from cnndsl.diagnostics import Source, Span


@dataclass(frozen=True)
class Tree:
    """Base of all nodes: the place in the source."""

    span: Span = field(compare=False, repr=False)


# Expressions


@dataclass(frozen=True)
class Name(Tree):
    """A name, wherever one stands."""

    text: str


@dataclass(frozen=True)
class Literal(Tree):
    """A number, a string, true or false. `text` is how a number was written."""

    value: int | float | str | bool
    text: str


@dataclass(frozen=True)
class ListOf(Tree):
    """[a, b, c], or [a for x in values]."""

    items: tuple[Listed, ...]


@dataclass(frozen=True)
class Rounds(Tree):
    """for a, b in values if condition, behind what is made in each round."""

    names: tuple[Name, ...]
    values: Expression
    condition: Expression | None


@dataclass(frozen=True)
class Each(Tree):
    """An item of a list, or a branch of a join, for each round of a loop."""

    what: Expression | Chain
    rounds: Rounds


@dataclass(frozen=True)
class Unary(Tree):
    """-x, not x."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary(Tree):
    """x + y, x < y, x and y."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Conditional(Tree):
    """then if condition else otherwise."""

    then: Expression
    condition: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Parenthesised(Tree):
    """(x). Kept, so that printing keeps what the author found clearer."""

    inner: Expression


@dataclass(frozen=True)
class Index(Tree):
    """values[position]."""

    values: Expression
    position: Expression


@dataclass(frozen=True)
class Argument(Tree):
    """A value in a call; `name` is None for a positional one."""

    name: Name | None
    value: Expression


@dataclass(frozen=True)
class Call(Tree):
    """callee(arguments): a function, an operator or a block."""

    callee: Expression
    arguments: tuple[Argument, ...]


Expression: TypeAlias = (
    Name | Literal | ListOf | Unary | Binary | Conditional | Parenthesised | Index | Call
)
Listed: TypeAlias = "Expression | Chain | Each"
"""An item of a list: a chain is applied to the value at hand."""


# Elements of a chain


@dataclass(frozen=True)
class Join(Tree):
    """add { a | b }: every branch starts from the same value; the operator joins the results."""

    operator: Name
    branches: tuple[Body | Each, ...]


@dataclass(frozen=True)
class If(Tree):
    """if condition { … } else { … }; an else-if is a body that holds one If."""

    condition: Expression
    then: Body
    otherwise: Body | None


@dataclass(frozen=True)
class For(Tree):
    """for a, b in values { … }."""

    names: tuple[Name, ...]
    values: Expression
    body: Body


@dataclass(frozen=True)
class Repeat(Tree):
    """repeat count { … }."""

    count: Expression
    body: Body


@dataclass(frozen=True)
class Group(Tree):
    """{ … }: statements as one element, to give them a label or defaults of their own."""

    body: Body


Braced: TypeAlias = Join | If | For | Repeat | Group
Element: TypeAlias = Expression | Braced


@dataclass(frozen=True)
class Label(Tree):
    """The instance name before a colon; expressions in braces are parts of it."""

    parts: tuple[str | Expression, ...]

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the names look like that it makes of whole numbers."""
        parts = (re.escape(part) if isinstance(part, str) else r"\d+" for part in self.parts)
        return re.compile("".join(parts))


@dataclass(frozen=True)
class Step(Tree):
    """One element of a chain, with its label."""

    label: Label | None
    element: Element


# Statements


@dataclass(frozen=True)
class Chain(Tree):
    """a -> b -> c."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class InputDeclaration(Tree):
    """input image [3, H, W]; names in the shape are open sizes unless they are known values.

    `photo` is the call behind it: photo(mean=0.5, std=0.5).
    """

    name: Name
    shape: ListOf
    photo: Call | None = None


@dataclass(frozen=True)
class Let(Tree):
    """let name = chain: keeps a value for later; several names take the values of a list."""

    names: tuple[Name, ...]
    chain: Chain


@dataclass(frozen=True)
class Assign(Tree):
    """name = chain: gives another value to a name that is declared already."""

    names: tuple[Name, ...]
    chain: Chain


@dataclass(frozen=True)
class LayerDeclaration(Tree):
    """layer name = conv(…): one layer that can be applied several times."""

    name: Name
    call: Expression


@dataclass(frozen=True)
class OutputDeclaration(Tree):
    """output name = chain; several names take the values of a block with several results."""

    names: tuple[Name | Label, ...]
    chain: Chain


@dataclass(frozen=True)
class Return(Tree):
    """return a, b at the end of a block: the values that it leaves."""

    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class AuxiliaryDeclaration(Tree):
    """auxiliary name(weight=0.3) = chain: an output for training only."""

    name: Name
    arguments: tuple[Argument, ...]
    chain: Chain


@dataclass(frozen=True)
class Default(Tree):
    """conv(bias=false) in a defaults statement."""

    name: Name
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Defaults(Tree):
    """defaults conv(bias=false), bn(eps=1e-3): for the rest of the file or braces."""

    defaults: tuple[Default, ...]


Statement: TypeAlias = (
    Chain
    | InputDeclaration
    | Let
    | Assign
    | LayerDeclaration
    | OutputDeclaration
    | Return
    | AuxiliaryDeclaration
    | Defaults
)


@dataclass(frozen=True)
class Body(Tree):
    """Statements between braces or bars, in order."""

    statements: tuple[Statement, ...]


def children(node: Tree) -> Iterator[Any]:
    """The nodes directly inside a node."""
    for part in fields(node):
        value = getattr(node, part.name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, Tree):
                yield child


def parts(chain: Chain) -> Iterator[tuple[Step, ...]]:
    """The chain cut where labels stand: each names what follows it up to the next one.

    A label before braces, or before the name of a join, names these alone.
    """
    part: list[Step] = []
    for step in chain.steps:
        braced = part and part[0].label and isinstance(part[0].element, Braced)
        if part and (step.label or braced):
            yield tuple(part)
            part = []
        part.append(step)
    yield tuple(part)


def only_step(body: Body) -> Step | None:
    """The step that is all of a body, or None."""
    match body.statements:
        case (Chain(steps=(step,)),):
            return step
    return None


def only_loop(branch: Body) -> tuple[Label | None, For] | None:
    """The `for` that is all of a branch, with its label, or None."""
    step = only_step(branch)
    return (step.label, step.element) if step and isinstance(step.element, For) else None


# Items of a file


@dataclass(frozen=True)
class ParameterDeclaration(Tree):
    """A parameter of a block or network, with its default."""

    name: Name
    default: Expression | None


@dataclass(frozen=True)
class Import(Tree):
    """import a, b from "file.cnn"."""

    names: tuple[Name, ...]
    path: Literal


@dataclass(frozen=True)
class Definition(Tree):
    """block or network NAME(parameters) { … }."""

    keyword: str
    name: Name
    parameters: tuple[ParameterDeclaration, ...]
    body: Body


@dataclass(frozen=True)
class Alias(Tree):
    """network name = other(arguments)."""

    name: Name
    call: Expression


@dataclass(frozen=True)
class RecipeDefinition(Tree):
    """recipe a, b { … }: how the networks of these names are trained; a name or call each line."""

    networks: tuple[Name, ...]
    ingredients: tuple[Name | Call, ...]


Item: TypeAlias = Import | Defaults | Definition | Alias | RecipeDefinition


@dataclass(frozen=True)
class File(Tree):
    """A whole file. `comments` are the spans of all comments, in order."""

    source: Source = field(compare=False, repr=False)
    items: tuple[Item, ...]
    comments: tuple[Span, ...] = field(compare=False, repr=False, default=())
