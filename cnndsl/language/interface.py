"""What a network takes and gives: shapes of inputs, names and loss weights of outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cnndsl.ir.attributes import AttributeValueError, attribute, build
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import AXES, Shape, TensorType
from cnndsl.language import tree as ast
from cnndsl.language.arithmetic import ARITHMETIC, calculated, negated
from cnndsl.language.evaluate import Evaluator
from cnndsl.language.messages import Consequence, Problem
from cnndsl.language.scopes import Local
from cnndsl.language.signatures import match_arguments, signature_of
from cnndsl.language.values import POISON, Frame, Given
from cnndsl.recipes.kinds import FROM_ZERO


@dataclass(frozen=True)
class Auxiliary:
    """An output of the training alone; its weight in the loss."""

    weight: float = attribute(FROM_ZERO)


Opened: TypeAlias = Mapping[str, Mapping[str, OpenDim]]
"""For each input its open sizes, by axis."""


def input_shape(
    statement: ast.InputDeclaration,
    frame: Frame,
    evaluator: Evaluator,
    given: tuple[int, ...] | None,
    opened: Mapping[str, OpenDim],
) -> Shape:
    """The declared shape, or the `given` one, with some axes `opened`. Raises Problem."""
    sizes: list[Any] = []
    for item in statement.shape.items:
        if isinstance(item, ast.Chain | ast.Each):
            raise Problem("E0220", "an input's sizes are numbers or names", item.span)
        sizes.append(_size(item, frame, evaluator))
    if given is not None and len(given) != len(sizes):
        name, shape = statement.name.text, "x".join(map(str, given))
        raise Problem(
            "E0220",
            f"input {name!r} has {len(sizes)} sizes, the shape {shape} that is given for it "
            f"{len(given)}",
            statement.shape.span,
            hint=f"give it as {name}={'x'.join(map(str, sizes))}",
        )
    if given is not None:
        _solve(statement, sizes, frame, given)
        sizes = list(given)
    if not 1 <= len(sizes) <= 4:
        raise Problem(
            "E0220",
            f"an input has channels and up to 3 spatial sizes, not {len(sizes)} sizes",
            statement.shape.span,
            hint="[channels, height, width]",
        )
    for position, axis in enumerate(AXES.get(len(sizes) - 1, ()), 1):
        if axis in opened:
            sizes[position] = opened[axis]
    for position, size in enumerate(sizes):
        whole = type(size) is int and 1 <= size < 2**31
        is_open = position > 0 and isinstance(size, OpenDim) and size.is_input
        if not whole and not is_open:
            where = "" if given is None else f", given for {statement.name.text!r},"
            raise Problem(
                "E0220",
                f"{size}{where} is no size of an input: those are whole numbers from 1 to"
                f" {2**31 - 1:,}, or, but for the channels, names of open sizes or multiples",
                statement.shape.span,
                hint=None if where else "[3, H, W], or [3, 32*H, 32*W]",
            )
    return tuple(sizes)


def photo_of(call: ast.Call, declared: Shape, frame: Frame, evaluator: Evaluator) -> Photo:
    """How a photo becomes an input of the declared shape. Raises Problem."""
    if frame.unit.meanings.get(id(call.callee)) is not Photo:
        raise Consequence(call.callee.span)
    matched = match_arguments(signature_of(Photo), call.arguments, call.span, set())
    given = {} if Photo.name in frame.unit.blocks else dict(frame.defaults.get(Photo.name, {}))
    for name, argument in matched.items():
        given[name] = Given(evaluator.evaluate(argument.value, frame), argument.span)
    try:
        photo: Photo = build(Photo, {name: each.value for name, each in given.items()})
        return photo.fitted(TensorType(declared))
    except AttributeValueError as error:
        raise Problem("E0309", f"photo: {error}", given[error.name].span) from None
    except OperatorError as error:
        place = given[error.attribute].span if error.attribute in given else call.span
        raise Problem(error.code, error.message, place, hint=error.hint) from None


def _solve(
    statement: ast.InputDeclaration, sizes: list[Any], frame: Frame, given: tuple[int, ...]
) -> None:
    """Let open sizes be what follows from the sizes that are given. Raises Problem."""
    solved: dict[str, int] = {}
    for item, size, known in zip(statement.shape.items, sizes, given, strict=True):
        names = [name for name in _names(item) if _is_size(frame, name)]
        if isinstance(size, OpenDim) and size.is_input:
            (symbol,) = size.symbols()
            value = size.solve(known)
            fits = value is not None and solved.setdefault(symbol, value) == value
        else:
            fits = not names or size == known
        if not fits:
            message = f"{known} is given for a size of input {statement.name.text!r} that is {size}"
            shown = ", ".join(f"{name} is {value}" for name, value in solved.items())
            raise Problem("E0220", message, item.span, hint=shown or None)
    for item in statement.shape.items:
        for name in _names(item):
            if _is_size(frame, name) and name.text in solved:
                frame.keep(name, solved[name.text])


def _names(item: Any) -> Iterator[ast.Name]:
    """The names that a size is calculated of."""
    match item:
        case ast.Name():
            yield item
        case ast.Binary():
            yield from _names(item.left)
            yield from _names(item.right)
        case ast.Unary():
            yield from _names(item.operand)


def _is_size(frame: Frame, name: ast.Name) -> bool:
    local = frame.meaning(name)
    return isinstance(local, Local) and local.what == "size"


def _size(item: ast.Expression, frame: Frame, evaluator: Evaluator) -> Any:
    """The value of a size, in which names that are not declared are open sizes. Raises Problem."""
    match item:
        case ast.Name() if not isinstance(frame.meaning(item), Local):
            return OpenDim.symbol(item.text)
        case ast.Name() if _is_size(frame, item) and frame.kept(item) is POISON:
            frame.keep(item, OpenDim.symbol(item.text))
        case ast.Binary() if item.operator in ARITHMETIC:
            left, right = (_size(side, frame, evaluator) for side in (item.left, item.right))
            return calculated(item.operator, left, right, item.span)
        case ast.Unary(operator="-"):
            return negated(_size(item.operand, frame, evaluator), item.span)
    return evaluator.evaluate(item, frame)


def loss_weight(statement: ast.AuxiliaryDeclaration, frame: Frame, evaluator: Evaluator) -> float:
    """The weight of an auxiliary output in the loss. Raises Problem."""
    names = [a.name.text if a.name else "weight" for a in statement.arguments]
    if names != ["weight"]:
        raise Problem(
            "E0204",
            "an auxiliary output has a loss weight",
            statement.name.span,
            hint="auxiliary head(weight=0.3) = …",
        )
    argument = statement.arguments[0]
    value = evaluator.evaluate(argument.value, frame)
    try:
        auxiliary: Auxiliary = build(Auxiliary, {"weight": value})
    except AttributeValueError as error:
        raise Problem("E0309", f"auxiliary output: {error}", argument.span) from None
    return auxiliary.weight
