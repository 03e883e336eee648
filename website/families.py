"""Pages of the networks: one for each family, made in as many processes as there are processors."""

from __future__ import annotations

import re
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.drawing.svg import svg
from cnndsl.language.loader import concrete_networks
from cnndsl.language.sources import zoo_folder

HEAD = ["network", "input", "parameters", "multiply-adds"]


def pages() -> dict[str, str | bytes]:
    """Pages with paper, table, picture and text, and the pictures, by their paths on the site."""
    families: dict[Path, list[str]] = defaultdict(list)
    for unit, item in concrete_networks(cnndsl.zoo()).values():
        families[Path(unit.source.name)].append(item.name.text)
    made: dict[str, str | bytes] = {"networks/index.md": _index(families)}
    longest = sorted(families, key=lambda path: len(families[path]), reverse=True)
    with ProcessPoolExecutor(mp_context=get_context("fork")) as processes:
        both = processes.map(_family, longest, [families[path] for path in longest])
        for path, (page, picture) in zip(longest, both, strict=True):
            made[f"networks/{path.stem}.md"] = page
            made[f"networks/{path.stem}.svg"] = picture
    return made


def _family(path: Path, names: list[str]) -> tuple[str, bytes]:
    """The page of a family, and the picture of its first network."""
    networks = [cnndsl.parse(f"{path}:{name}") for name in names]
    return _page(path, networks), svg(networks[0].graph, depth=1)


def _index(families: dict[Path, list[str]]) -> str:
    rows = [
        [f"[{path.stem}]({path.stem}.md)", ", ".join(f"`{name}`" for name in names)]
        for path, names in sorted(families.items(), key=lambda family: family[0].stem)
    ]
    count = sum(map(len, families.values()))
    about = f"{count} networks in {len(families)} families; every verb takes such a name."
    return f"# Networks\n\n{about}\n\n{_table(['family', 'networks'], rows)}"


def _page(path: Path, networks: list[cnndsl.Network]) -> str:
    text = path.read_text("utf-8")
    about = re.match(r"(?:\s*#.*\n)*", text)
    paper = " ".join(line.strip(" #") for line in about[0].splitlines()) if about else ""
    rows = [_row(net) for net in networks]
    file = path.relative_to(zoo_folder())
    return "\n".join([
        f"# {path.stem}",
        "",
        f"{paper}" if paper else "",
        "",
        _table(HEAD, rows),
        f"![{networks[0].name}, its blocks closed]({path.stem}.svg)",
        "",
        f"`cnndsl draw {networks[0].name}` opens the blocks. The text, `networks/{file}`:",
        "",
        f"```\n{text[about.end() if about else 0:].strip()}\n```",
        "",
    ])  # fmt: skip


def _row(net: cnndsl.Network) -> list[str]:
    cost = graph_cost(net.graph)
    return [f"`{net.name}`", _inputs(net), f"{cost.params:,}", f"{cost.macs:,}"]


def _inputs(net: cnndsl.Network) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in net.inputs.items())


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
