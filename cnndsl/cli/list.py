"""`cnndsl list`: the networks, operators, passes, items of recipes and targets there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnndsl.cli.terminal import is_terminal, print_json, print_table
from cnndsl.cli.verb import Verb

if TYPE_CHECKING:
    from cnndsl.diagnostics import CnnError
    from cnndsl.language.units import NetworkItem, Unit

T = TypeVar("T")
Rows = list[dict[str, Any]]


@click.command(
    "list",
    cls=Verb,
    examples=(
        "list networks",
        "list ops pool",
        "list ops --json",
    ),
)
@click.argument("what", type=click.Choice(["networks", "ops", "passes", "recipes", "targets"]))
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def command(what: str, name: str | None, as_json: bool) -> int:
    """List what there is to compile, to write, and to compile to.

    With a name, or a part of one, only those that have it in their names.
    """
    names, rows_of = LISTS[what]
    rows = rows_of(_named(name, names()))
    if not rows:
        raise _unknown(what, name or "", names())
    if as_json:
        print_json(rows)
        return 0
    columns = COLUMNS[what]
    cells = [[_cell(column, row[column]) for column in columns] for row in rows]
    numbers = [i for i, column in enumerate(columns) if column in ("params", "macs")]
    print_table([list(columns), *cells], numbers=numbers, keeps_all=what != "networks")
    return 0


def _named(part: str | None, names: Iterable[str]) -> list[str]:
    return [name for name in names if part is None or part.lower() in name.lower()]


def _unknown(what: str, name: str, names: Iterable[str]) -> CnnError:
    from cnndsl.diagnostics import CnnError
    from cnndsl.language.messages import meant

    hint = meant(name, names) or f"cnndsl list {what} shows all"
    return CnnError.of("E0609", f"none of the {what} has {name!r} in its name", hint=hint)


def _cell(column: str, value: Any) -> str:
    if column == "file":
        return Path(value).name
    if column == "errors":
        return "; ".join(map(_error, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {shape}" for name, shape in value.items())
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)


def _error(row: Mapping[str, Any]) -> str:
    """Top-1 and top-5 errors, and where they are from: 22.85, 6.71 (He et al. 2015, table 3)."""
    numbers = ", ".join("-" if row[top] is None else f"{row[top]:.4g}" for top in ("top1", "top5"))
    return f"{numbers} ({row['data']}; {row['source']})"


def _zoo() -> Iterable[str]:
    from cnndsl.api import zoo

    return zoo()


def _networks(names: Sequence[str]) -> Rows:
    """Networks of the zoo, those that need no arguments, by name.

    `input` is the shape of the first input, `facts` the network's name in the published facts
    or null, `errors` what was published, in percent. What all networks of the zoo cost is kept
    in the cache.
    """
    from cnndsl.api import zoo
    from cnndsl.language.loader import concrete_networks
    from cnndsl.runtime.cache import Store

    store, key = Store("networks"), _state(zoo())
    kept = store.get(key)
    if kept is None:
        chosen = list(concrete_networks({name: zoo()[name] for name in names}).values())
        rows = [_network(unit, item) for unit, item in _progress(chosen)]
        if len(names) == len(zoo()):
            store.put(key, json.dumps(rows).encode())
    else:
        rows = [row for row in json.loads(kept) if row["name"] in names]
    published, errors = _published_names(), published_errors()
    return [
        {**row, "facts": published.get(row["name"]), "errors": errors.get(row["name"], [])}
        for row in rows
    ]


def _state(names: Iterable[str]) -> str:
    """What the costs of networks follow from: the names, and the states of our files and texts."""
    import cnndsl
    from cnndsl.language.sources import zoo_folder

    parts = [*names]
    for folder, pattern in ((Path(cnndsl.__file__).parent, "*.py"), (zoo_folder(), "*.cnn")):
        for path in sorted(folder.rglob(pattern)):
            status = path.stat()
            parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(parts)


def _network(unit: Unit, item: NetworkItem) -> dict[str, Any]:
    """What a network takes and costs."""
    from cnndsl.analysis.cost import graph_cost
    from cnndsl.language.elaborate import elaborate

    graph = elaborate(unit, item).sound().graph
    cost = graph_cost(graph)
    return {
        "name": item.name.text,
        "file": unit.source.name,
        "input": [
            size if isinstance(size, int) else str(size)
            for size in graph[graph.inputs[0]].type.shape
        ],
        "inputs": {node: str(graph[node].type) for node in graph.inputs},
        "params": cost.params,
        "macs": cost.macs,
    }


def _published_names() -> dict[str, str]:
    names: dict[str, str] = _of_zoo("facts.json")["names"]
    return names


def published_errors() -> dict[str, list[dict[str, Any]]]:
    """By network what papers and pages of weights say, in percent, with data and source."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in _of_zoo("errors.json")["sources"]:
        told = {key: entry[key] for key in ("data", "how", "source")}
        for name, (top1, top5) in entry["errors"].items():
            found.setdefault(name, []).append({"top1": top1, "top5": top5, **told})
    return found


def _of_zoo(name: str) -> Any:
    return json.loads(resources.files("cnndsl.networks").joinpath(name).read_text("utf-8"))


def _progress(items: list[T]) -> Iterator[T]:
    """The items, with a progress bar on a terminal."""
    if not is_terminal():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, console=Console(stderr=True), transient=True)


def _operators() -> Iterable[str]:
    from cnndsl.ir.operators import BY_NAME

    return sorted(BY_NAME)


def _ops(names: Sequence[str]) -> Rows:
    from cnndsl.ir.operators import BY_NAME
    from cnndsl.reference import Reference

    return [
        {
            "name": name,
            "signature": known.signature,
            "meaning": known.meaning,
            "operands": BY_NAME[name].operands,
            "attributes": known.attributes(),
            "example": known.example,
            "elsewhere": known.elsewhere(),
        }
        for name in names
        for known in [Reference(BY_NAME[name])]
    ]


def _all_passes() -> Iterable[str]:
    from cnndsl.passes.pipeline import passes

    return [step.name for step in passes()]


def _passes(names: Sequence[str]) -> Rows:
    from cnndsl.passes.pipeline import passes

    return [
        {"name": step.name, "algebra": step.algebra, "meaning": _first_line(type(step))}
        for step in passes()
        if step.name in names
    ]


def _all_recipes() -> Iterable[str]:
    from cnndsl.recipes.registry import ITEMS

    return ITEMS


def _recipes(names: Sequence[str]) -> Rows:
    """Items of recipes."""
    from cnndsl.recipes.registry import ITEMS
    from cnndsl.reference import Reference

    return [
        {
            "name": name,
            "slot": ITEMS[name].slot,
            "signature": known.signature,
            "meaning": known.meaning,
            "attributes": known.attributes(),
        }
        for name in names
        for known in [Reference(ITEMS[name])]
    ]


def _backends() -> Iterable[str]:
    from cnndsl.runtime.backend import backends

    return backends()


def _targets(names: Sequence[str]) -> Rows:
    from cnndsl.runtime.backend import backends

    found = {name: backends()[name] for name in names}
    return [
        {"name": name, "suffix": target.suffix, "description": target.description}
        for name, target in found.items()
    ]


def _first_line(documented: type) -> str:
    return (documented.__doc__ or "").strip().partition("\n")[0]


LISTS: dict[str, tuple[Callable[[], Iterable[str]], Callable[[Sequence[str]], Rows]]] = {
    "networks": (_zoo, _networks),
    "ops": (_operators, _ops),
    "passes": (_all_passes, _passes),
    "recipes": (_all_recipes, _recipes),
    "targets": (_backends, _targets),
}
"""The names there are, and the rows of some of them."""

COLUMNS = {
    "networks": ("name", "inputs", "params", "macs", "file", "errors"),
    "ops": ("signature", "meaning"),
    "recipes": ("slot", "signature", "meaning"),
    "passes": ("name", "algebra", "meaning"),
    "targets": ("name", "suffix", "description"),
}
