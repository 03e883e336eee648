"""The views of `inspect`: one at a time, each with the options that count for it."""

from __future__ import annotations

import click

from cnndsl.cli.common import given_option

_MEMORY: tuple[str, ...] = ("memory", "svg", "training")
_VIEWS: tuple[tuple[str, ...], ...] = (
    ("layers",), ("passes",), ("explain",), ("print_after",), ("stage",), ("kernels",),
    ("source",), ("size",), ("weights",), ("budgets",), ("paths",),
)  # fmt: skip
_OF_THE_TREE = ("depth",)
_OF_LAYERS = ("by",)
_OF_PASSES = ("level", "disable", "target")
_OF_MEMORY: tuple[str, ...] = ("batch",)
_OF_WEIGHTS: tuple[str, ...] = ("weights_map",)


def require_one_view(stage: str | None) -> None:
    """Raise UsageError for two views on the command line, or an option that counts for none."""
    views: list[tuple[str, ...]] = [_MEMORY] if given_option(_MEMORY) or stage == "planned" else []
    views += [view for view in _VIEWS if given_option(view)]
    if ("paths",) in views:
        views = [view for view in views if view != ("weights",)]
    if stage == "planned":
        views.remove(("stage",))
    if len(views) > 1:
        names = [given_option(view) or "--stage planned" for view in views[:2]]
        raise click.UsageError(f"{names[0]} and {names[1]} are views of their own: give one")
    view = views[0] if views else ()
    optimised = view == _MEMORY or view in (("passes",), ("explain",), ("print_after",))
    idle = [] if optimised or stage == "optimised" else [*_OF_PASSES]
    idle += [] if view == _MEMORY else _OF_MEMORY
    is_by_block = click.get_current_context().params["by"] == "block"
    idle += _OF_THE_TREE if view and not (view == ("layers",) and is_by_block) else []
    idle += [] if view == ("layers",) else _OF_LAYERS
    idle += [] if view in (("weights",), ("paths",)) else _OF_WEIGHTS
    if (option := given_option(idle)) is not None:
        shown = given_option(view) or "the tree of blocks"
        raise click.UsageError(f"{option} changes nothing in {shown}: {_needs(option)}")


def _needs(option: str) -> str:
    """Which views an option counts for."""
    if option == "--batch":
        return "it is for --memory"
    if option == "--depth":
        return "it is for the tree of blocks and --layers --by block"
    if option == "--by":
        return "it is for --layers"
    if option == "--weights-map":
        return "it is for --weights"
    return "it is for --passes, --explain, --print-after, --stage optimised and --memory"
