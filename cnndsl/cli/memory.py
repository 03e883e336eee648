"""Where the tensors of a network live: the memory view of `inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli.common import Command
from cnndsl.cli.outputs import check_output
from cnndsl.cli.passes import optimised
from cnndsl.cli.terminal import log, print_json, print_table

if TYPE_CHECKING:
    from cnndsl.api import Network
    from cnndsl.ir.graph import Graph
    from cnndsl.memory import Plan


def _bytes(context: click.Context, option: click.Parameter, value: str | None) -> str | int | None:
    """A number of bytes, or the word."""
    from cnndsl.diagnostics.units import bytes_of

    try:
        return value if value in (None, "auto") else bytes_of(str(value))
    except ValueError as error:
        raise click.BadParameter(f"{error}, nor auto") from None


recompute_option = click.option(
    "--recompute",
    metavar="auto|BYTES",
    callback=_bytes,
    help="Keep less for the gradients, and compute it again: as much as 500MB say, or all.",
)


def memory_options(command: Command) -> Command:
    """The memory view, its picture, and its settings."""
    for option in (
        click.option("--batch", type=click.IntRange(1), default=1, help="Samples in memory."),
        click.option("--training", is_flag=True, help="With what a training step keeps."),
        click.option(
            "--svg", type=click.Path(path_type=Path), help="Draw the memory over time as FILE.svg."
        ),
        click.option("--memory", is_flag=True, help="The memory of the optimised network."),
    ):
        command = option(command)
    return command


def wants_memory(view: Mapping[str, Any]) -> bool:
    """Whether the memory view was asked for."""
    return any(view[name] for name in ("memory", "svg", "training")) or view["stage"] == "planned"


def show_memory(network: Network, view: Mapping[str, Any], as_json: bool) -> None:
    """Print the totals of the plan and its largest tensors, or all steps for the stage `planned`.

    Raises CnnError if a size is open (E0611), or the picture cannot be written (E0602, E0612).
    """
    from cnndsl.analysis.report import report
    from cnndsl.memory import Options, plan, require_known_sizes
    from cnndsl.memory.report import memory_report, plan_steps, training_report
    from cnndsl.memory.training import training_memory

    if view["svg"]:
        check_output(view["svg"], [network.file], ".svg")
    require_known_sizes(network.graph)
    graph, _ = optimised(network, view["level"], view["disable"], view["target"])
    found = plan(graph, Options(batch=view["batch"]))
    if view["svg"]:
        _draw(graph, found, view["svg"])
    data = memory_report(graph, found)
    if view["training"]:
        data["training"] = training_report(training_memory(network.graph, view["batch"]))
    if view["stage"] == "planned":
        data["schedule"] = plan_steps(graph, found)
    if as_json:
        print_json({**report(network), "memory": data})
    elif view["stage"] == "planned":
        _print_rows(data["schedule"])
    else:
        _print_totals(data)


def _draw(graph: Graph, found: Plan, path: Path) -> None:
    from cnndsl.drawing.arena import arena_svg
    from cnndsl.runtime.files import atomic_write

    with atomic_write(path) as file:
        file.write(arena_svg(graph, found))
    log(f"{path} written")


def _print_totals(data: Mapping[str, Any]) -> None:
    from cnndsl.diagnostics.units import exact

    lines = {
        "all tensors": data["sum_bytes"],
        "planned arena": data["arena_bytes"],
        "lower bound": data["lower_bound_bytes"],
        "saved in place": data["in_place_bytes"],
        "concat copies removed": data["concat_removed_bytes"],
        "concat copies left": data["concat_copy_bytes"],
    }
    training = data.get("training")
    if training:
        lines |= {
            "training keeps": training["kept_bytes"],
            "with recomputed concat, bn": training["recomputing_bytes"],
            "of which shared areas": training["shared_bytes"],
        }
    print_table([[label, f"{exact(size)} B"] for label, size in lines.items()], numbers=[1])
    click.echo()
    _print_rows(data["largest"])


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from cnndsl.diagnostics.units import exact

    cells = [
        [
            *(row["name"], row["op"], "x".join(map(str, row["shape"]))),
            *(exact(row["bytes"]), row["memory"], exact(row["address"]), row["buffer"]),
            f"{row['first']} to {row['last']}",
        ]
        for row in rows
    ]
    head = ["tensor", "operator", "shape", "bytes", "memory", "address", "buffer", "steps"]
    print_table([head, *cells], numbers=[3, 5])
