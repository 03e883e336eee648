"""The rename rules that come with the zoo: `networks/weights/maps.json` and the files it names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from itertools import chain

from cnndsl.diagnostics import Source
from cnndsl.weights.rename import Rules, parse_rules

FOLDER = resources.files("cnndsl.networks") / "weights"


def index() -> dict[str, dict[str, list[str]]]:
    """By source and network the files with the rules, in the order in which they are tried."""
    data = json.loads((FOLDER / "maps.json").read_text("utf-8"))
    return {source: files for source, files in data.items() if isinstance(files, dict)}


def zoo_maps(source: str, network: str) -> list[tuple[str, ...]]:
    """The files of rules, each combination once: those for the network first, then the source's.

    Rules are those of their source alone if it has any. The network may be of a family of the zoo
    without being in it.
    """
    known = index()
    sources = [source] if source in known else list(known)
    own = [known[name][network] for name in sources if network in known[name]]
    others = [files for name in sources for files in known[name].values()]
    return list(dict.fromkeys(map(tuple, (*own, *others))))


def zoo_rules(source: str, network: str) -> Rules:
    """The rules from a source's names to those of a network of the zoo."""
    return rules_of(index()[source][network])


def rules_of(names: Iterable[str]) -> Rules:
    """The rules of several files, in their order."""
    files = [FOLDER / name for name in names]
    parts = [parse_rules(Source(file.name, file.read_text("utf-8"))).rules for file in files]
    return Rules(tuple(chain.from_iterable(parts)))
