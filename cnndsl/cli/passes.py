"""What the optimiser does to a network: options of several verbs, and views of `inspect`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import Command
from cnndsl.cli.parameters import Names
from cnndsl.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from cnndsl.api import Network
    from cnndsl.ir.graph import Graph
    from cnndsl.passes.pipeline import PassRun

STAGES = ("parsed", "optimised", "planned")


def level_options(command: Command) -> Command:
    """-O and --disable."""
    command = click.option(
        "--disable",
        type=Names(),
        multiple=True,
        metavar="PASS,...",
        shell_complete=completion.passes,
        callback=_check_passes,
        help="Leave passes out (`cnndsl list passes`).",
    )(command)
    return click.option(
        "-O", "level", type=click.IntRange(0, 3), default=2, show_default=True,
        help="How much to optimise.",
    )(command)  # fmt: skip


def _check_passes(_: Any, __: Any, lists: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    names = tuple(name for names in lists for name in names)
    if names:
        from cnndsl.passes.pipeline import require_passes

        require_passes(names)
    return names


def fusions_option(command: Command) -> Command:
    """--target of verbs that compile nothing."""
    return click.option(
        "--target",
        shell_complete=completion.targets,
        callback=_check_target,
        help="Fuse as this target does; by default all that is possible.",
    )(command)


def _check_target(_: Any, __: Any, target: str | None) -> str | None:
    if target is not None:
        from cnndsl.runtime.backend import backend

        backend(target)
    return target


def view_options(command: Command) -> Command:
    """The views of the optimiser, and the target whose fusions they show."""
    for option in (
        fusions_option,
        click.option(
            "--print-after",
            metavar="PASS",
            shell_complete=completion.passes,
            help="The graph after a pass.",
        ),
        click.option("--stage", type=click.Choice(STAGES), help="The graph at a stage."),
        click.option(
            "--explain",
            metavar="PASS",
            shell_complete=completion.passes,
            help="What a pass did where, or why it did not.",
        ),
        click.option("--passes", is_flag=True, help="What each pass did, and its time."),
        level_options,
    ):
        command = option(command)
    return command


def wants_view(view: Mapping[str, Any]) -> bool:
    """Whether one of the views was asked for."""
    return any(view[name] for name in ("passes", "explain", "stage", "print_after"))


def show_view(network: Network, view: Mapping[str, Any], as_json: bool) -> None:
    """Print what was asked for. Raises CnnError (E0610) for a pass that there is not."""
    if view["stage"] == "parsed":
        _show_graph(network.graph, as_json)
        return
    until = view["print_after"] or view["explain"]
    graph, runs = optimised(network, view["level"], view["disable"], view["target"], until)
    if view["passes"]:
        _show_runs(runs, as_json)
    elif view["explain"]:
        _show_fates(network, [run for run in runs if run.name == view["explain"]], as_json)
    else:
        _show_graph(graph, as_json)


def optimised(
    network: Network,
    level: int,
    disable: Collection[str] = (),
    target: str | None = None,
    until: str | None = None,
) -> tuple[Graph, list[PassRun]]:
    """The network's graph after the passes that run for a target, or after all passes."""
    from cnndsl.passes.pipeline import FUSIONS, optimise
    from cnndsl.runtime.backend import backend

    fusions = FUSIONS if target is None else backend(target).fusions
    return optimise(network.graph, level, disable=disable, fusions=fusions, until=until)


def _show_graph(graph: Graph, as_json: bool) -> None:
    if as_json:
        from cnndsl.ir.serialise import to_json

        print_json(to_json(graph))
    else:
        from cnndsl.ir.text import graph_text

        click.echo(graph_text(graph), nl=False)


def _show_runs(runs: list[PassRun], as_json: bool) -> None:
    rows = [
        {
            "name": run.name,
            "matched": len(run.report.matched),
            "rejected": len(run.report.rejected),
            "before": run.before,
            "after": run.after,
            "seconds": round(run.seconds, 6),
        }
        for run in runs
    ]
    if as_json:
        print_json(rows)
        return
    head = ["pass", "matched", "near misses", "nodes before", "after", "time"]
    table = [[*map(str, list(row.values())[:-1]), f"{row['seconds']:.3f} s"] for row in rows]
    print_table([head, *table], numbers=range(1, len(head)))


def _show_fates(network: Network, runs: list[PassRun], as_json: bool) -> None:
    from cnndsl.analysis.fates import fates

    rows = list(fates(network.graph, runs))
    if as_json:
        print_json(rows)
    elif rows:
        table = [[value or "" for value in row.values()] for row in rows]
        print_table([["place", "node", "fate", "what, or why not"], *table])
    else:
        click.echo("no candidates")
