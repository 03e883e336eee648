"""A hook of mkdocs: pages made of the repository, one for each family of networks."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import notebooks
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import cnndsl
from cnndsl.drawing.svg import svg
from cnndsl.language.loader import concrete_networks
from cnndsl.language.sources import zoo_folder

ROOT = Path(__file__).parents[1]
HEAD = ["network", "input", "parameters", "multiply-adds"]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in docs/ holds."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    tutorial = notebooks.page(ROOT / "docs" / "tutorial.ipynb")
    made = {"contributing.md": contributing, "tutorial.md": tutorial, **_families()}
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def _families() -> dict[str, str | bytes]:
    """Pages with paper, table, picture and text, and the pictures, by their paths on the site."""
    families: dict[Path, list[cnndsl.Network]] = defaultdict(list)
    for unit, item in concrete_networks(cnndsl.zoo()).values():
        families[Path(unit.source.name)].append(
            cnndsl.parse(f"{unit.source.name}:{item.name.text}")
        )
    made: dict[str, str | bytes] = {"networks/index.md": _index(families)}
    for path, networks in families.items():
        made[f"networks/{path.stem}.md"] = _page(path, networks)
        made[f"networks/{path.stem}.svg"] = svg(networks[0].graph, depth=1)
    return made


def _index(families: dict[Path, list[cnndsl.Network]]) -> str:
    rows = [
        [f"[{path.stem}]({path.stem}.md)", ", ".join(f"`{net.name}`" for net in networks)]
        for path, networks in sorted(families.items(), key=lambda family: family[0].stem)
    ]
    count = sum(map(len, families.values()))
    about = f"{count} networks in {len(families)} families; every verb takes such a name."
    return f"# Networks\n\n{about}\n\n{_table(['family', 'networks'], rows)}"


def _page(path: Path, networks: list[cnndsl.Network]) -> str:
    text = path.read_text("utf-8")
    about = re.match(r"(?:\s*#.*\n)*", text)
    paper = " ".join(line.strip(" #") for line in about[0].splitlines()) if about else ""
    rows = [[f"`{net.name}`", _inputs(net), f"{net.params:,}", f"{net.macs:,}"] for net in networks]
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


def _inputs(net: cnndsl.Network) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in net.inputs.items())


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
