"""What a shell can complete: names of networks, targets, passes, codes and parameters, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from cnndsl.language.tree import Definition

Complete: TypeAlias = Callable[[Any, Any, str], list[CompletionItem]]


def files(_: Any, __: Any, incomplete: str) -> list[CompletionItem]:
    """Any files."""
    return [CompletionItem(incomplete, type="file")]


def networks(ctx: Any, parameter: Any, incomplete: str) -> list[CompletionItem]:
    """Networks of the zoo and files beside them; paths as soon as nothing else fits."""
    from cnndsl.language.sources import zoo

    here = (str(path) for path in sorted(Path().glob("*.cnn")))
    return _starting([*zoo(), *here], incomplete) or files(ctx, parameter, incomplete)


def targets(_: Any, __: Any, incomplete: str) -> list[CompletionItem]:
    """Targets; of several, with a comma between them, the last."""
    from importlib.metadata import entry_points

    before, comma, last = incomplete.rpartition(",")
    names = sorted(point.name for point in entry_points(group="cnndsl.backends"))
    return _starting([f"{before}{comma}{name}" for name in names], f"{before}{comma}{last}")


def passes(_: Any, __: Any, incomplete: str) -> list[CompletionItem]:
    """Passes of the optimiser."""
    from cnndsl.passes.pipeline import passes

    return _starting([step.name for step in passes()], incomplete)


def explained(ctx: Any, parameter: Any, incomplete: str) -> list[CompletionItem]:
    """Operators, items of recipes, passes, and codes of findings with their titles."""
    from cnndsl.diagnostics.codes import CATALOGUE
    from cnndsl.ir.operators import BY_NAME
    from cnndsl.recipes.registry import ITEMS

    names = [*_starting({**BY_NAME, **ITEMS}, incomplete), *passes(ctx, parameter, incomplete)]
    return names + [
        CompletionItem(code, help=entry.title)
        for code, entry in sorted(CATALOGUE.items())
        if code.startswith(incomplete.upper())
    ]


def warnings(_: Any, __: Any, incomplete: str) -> list[CompletionItem]:
    """Codes of warnings; of several, with a comma between them, the last."""
    from cnndsl.diagnostics.codes import CATALOGUE

    before, comma, last = incomplete.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{code}", help=entry.title)
        for code, entry in sorted(CATALOGUE.items())
        if code.startswith("W") and code.startswith(last.upper())
    ]


def settings(ctx: Any, _: Any, incomplete: str) -> list[CompletionItem]:
    """The parameters of the network that the command line names."""
    from cnndsl.language.signatures import definition_signature

    definition = _named_network(ctx)
    parameters = definition_signature(definition).parameters if definition else ()
    return _starting([f"{name}=" for name in parameters], incomplete)


def input_shapes(ctx: Any, _: Any, incomplete: str) -> list[CompletionItem]:
    """The inputs of the network that the command line names."""
    from cnndsl.language.tree import InputDeclaration

    definition = _named_network(ctx)
    statements = definition.body.statements if definition else ()
    names = [s.name.text for s in statements if isinstance(s, InputDeclaration)]
    return _starting([f"{name}=" for name in names], incomplete)


def _named_network(ctx: Any) -> Definition | None:
    """The definition of the network that is named already, if there is one.

    Click has not parsed the words: behind the last one a value is missing.
    """
    from cnndsl.diagnostics import CnnError
    from cnndsl.language.loader import choose_network, load_unit
    from cnndsl.language.locate import locate
    from cnndsl.language.units import definition_of

    for word in ctx.parent.args if ctx.parent else ():
        with suppress(CnnError):
            source, name = locate(word)
            unit = load_unit(source)
            return definition_of(unit, choose_network(unit, name))
    return None


def _starting(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
