"""`cnndsl list`: the networks, operators, passes and targets there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnndsl.cli.common import is_terminal, print_json, print_table
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.ir.operator import Operator
    from cnndsl.language.units import NetworkItem, Unit

T = TypeVar("T")
Rows = list[dict[str, Any]]


@click.command(
    "list",
    cls=Verb,
    examples=(
        "list networks",
        "list ops --json",
    ),
)
@click.argument("what", type=click.Choice(["networks", "ops", "passes", "targets"]))
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def command(what: str, as_json: bool) -> int:
    """List what there is to compile, to write, and to compile to."""
    rows = LISTS[what]()
    if as_json:
        print_json(rows)
        return 0
    columns = COLUMNS[what]
    cells = [[_cell(column, row[column]) for column in columns] for row in rows]
    numbers = [i for i, column in enumerate(columns) if column in ("params", "macs")]
    print_table([list(columns), *cells], numbers=numbers)
    return 0


def _cell(column: str, value: Any) -> str:
    if column == "file":
        return Path(value).name
    if isinstance(value, dict):
        return ", ".join(f"{name} {shape}" for name, shape in value.items())
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def _networks() -> Rows:
    """Every network of the zoo that needs no arguments, by name.

    `input` is the shape of the first input, `facts` the network's name in the published facts
    or null.
    """
    from cnndsl.api import zoo
    from cnndsl.language.loader import concrete_networks

    chosen = list(concrete_networks(zoo()).values())
    published = _published_names()
    return [_network(unit, item, published) for unit, item in _progress(chosen)]


def _network(unit: Unit, item: NetworkItem, published: Mapping[str, str]) -> dict[str, Any]:
    """One row."""
    from cnndsl.analysis.cost import graph_cost
    from cnndsl.language.elaborate import elaborate

    name = item.name.text
    graph = elaborate(unit, item).sound().graph
    cost = graph_cost(graph)
    return {
        "name": name,
        "file": unit.source.name,
        "input": [
            size if isinstance(size, int) else str(size)
            for size in graph[graph.inputs[0]].type.shape
        ],
        "inputs": {node: str(graph[node].type) for node in graph.inputs},
        "params": cost.params,
        "macs": cost.macs,
        "facts": published.get(name),
    }


def _published_names() -> dict[str, str]:
    text = resources.files("cnndsl.networks").joinpath("facts.json").read_text("utf-8")
    names: dict[str, str] = json.loads(text)["names"]
    return names


def _progress(items: list[T]) -> Iterator[T]:
    """The items, with a progress bar on a terminal."""
    if not is_terminal():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, console=Console(stderr=True), transient=True)


def _ops() -> Rows:
    from cnndsl.ir.operators import BY_NAME

    return [
        {
            "name": name,
            "signature": signature(operator),
            "meaning": _first_line(operator),
            "operands": operator.operands,
            "attributes": [
                {
                    "name": field.name,
                    "takes": field.metadata["kind"].says,
                    "required": field.default is MISSING,
                    "default": None if field.default is MISSING else plain(field.default),
                }
                for field in fields(operator)
            ],
        }
        for name, operator in sorted(BY_NAME.items())
    ]


def signature(operator: type[Operator]) -> str:
    """An operator with its attributes and their defaults, as in a block's head."""
    arguments = ", ".join(_argument(field) for field in fields(operator))
    return f"{operator.name}({arguments})" if arguments else operator.name


def _argument(field: Any) -> str:
    """An attribute as in a block's head; in brackets if it may be left out without a default."""
    if field.default is MISSING:
        return str(field.name)
    if field.default is None:
        return f"[{field.name}]"
    return f"{field.name}={default_text(field.default)}"


def plain(value: Any) -> Any:
    """A default for JSON, which knows a number's format by its name."""
    from cnndsl.ir.types import DType

    return value.name if isinstance(value, DType) else value


def default_text(value: Any) -> str:
    """A default as the language writes it."""
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _passes() -> Rows:
    from cnndsl.passes.pipeline import passes

    return [
        {"name": step.name, "algebra": step.algebra, "meaning": _first_line(type(step))}
        for step in passes()
    ]


def _targets() -> Rows:
    from cnndsl.runtime.backend import backends

    return [
        {"name": name, "suffix": target.suffix, "description": target.description}
        for name, target in backends().items()
    ]


def _first_line(documented: type) -> str:
    return (documented.__doc__ or "").strip().partition("\n")[0]


LISTS: dict[str, Callable[[], Rows]] = {
    "networks": _networks,
    "ops": _ops,
    "passes": _passes,
    "targets": _targets,
}
COLUMNS = {
    "networks": ("name", "inputs", "params", "macs", "file"),
    "ops": ("signature", "meaning"),
    "passes": ("name", "algebra", "meaning"),
    "targets": ("name", "suffix", "description"),
}
