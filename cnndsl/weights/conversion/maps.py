"""The rename rules that come with the zoo: `networks/weights/maps.json` and the files it names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import resources
from itertools import chain

from cnndsl.diagnostics import CnnError, Source
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.weights.rename import Rules, parse_rules

FOLDER = resources.files("cnndsl.networks") / "weights"


def index() -> dict[str, dict[str, list[str]]]:
    """By source and network the files with the rules, in the order in which they are tried."""
    data = json.loads((FOLDER / "maps.json").read_text("utf-8"))
    return {source: files for source, files in data.items() if isinstance(files, dict)}


def zoo_rules(source: str, network: str) -> Rules:
    """The rules from a source's names to a network's. Raises CnnError (E0413) if there are none."""
    known = index()[source]
    if network not in known:
        hint = did_you_mean(network, known) or f"there are rules for {', '.join(known)}"
        raise CnnError.of(
            "E0413",
            f"there are no rules from {source} to the network {network!r}",
            hint=f"{hint} (--from auto goes by names and shapes)",
        )
    return _rules(known[network])


def all_rules() -> Iterator[Rules]:
    """The rules for all networks, each once."""
    lists = (files for networks in index().values() for files in networks.values())
    return map(_rules, dict.fromkeys(map(tuple, lists)))


def _rules(names: Iterable[str]) -> Rules:
    files = [FOLDER / name for name in names]
    parts = [parse_rules(Source(file.name, file.read_text("utf-8"))).rules for file in files]
    return Rules(tuple(chain.from_iterable(parts)))
