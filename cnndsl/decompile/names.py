"""Names for symbols, blocks and the network that the language can read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cnndsl.decompile.program import Let, Loop, Program, Symbol
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES

KEYWORDS = frozenset((
    *("import", "from", "defaults", "block", "network", "input", "let", "layer", "output"),
    *("auxiliary", "if", "else", "for", "in", "repeat", "and", "or", "not", "true", "false"),
))  # fmt: skip


def give_names(program: Program) -> None:
    """Give every symbol and block of a program a name of its own."""
    taken = set(KEYWORDS)
    taken |= BY_NAME.keys() | CONSTANTS.keys() | FUNCTIONS.keys() | SHAPE_NAMES.keys()
    program.name = identifier(program.name, KEYWORDS)
    for block in program.blocks:
        block.name = identifier("block", taken)
        taken.add(block.name)
    for symbol in _symbols(program):
        symbol.name = identifier(symbol.hint, taken)
        taken.add(symbol.name)


def name_outputs(graph: Graph) -> None:
    """Give the outputs of a graph names that the language can read."""
    taken = {*KEYWORDS, *graph.inputs}

    def given(name: str) -> str:
        found = identifier(name, taken)
        taken.add(found)
        return found

    if list(graph.outputs) != ["output"]:
        graph.outputs = {given(name): node for name, node in graph.outputs.items()}
    graph.auxiliaries = {given(name): aux for name, aux in graph.auxiliaries.items()}


def _symbols(program: Program) -> Iterable[Symbol]:
    yield from (symbol for symbol, _ in program.inputs)
    yield from (symbol for symbol, _ in program.layers)
    for block in program.blocks:
        yield from block.parameters
    for chain in program.chains():
        for item in chain:
            if isinstance(item, Let):
                yield item.symbol
            elif isinstance(item, Loop):
                yield from item.symbols


def identifier(text: str, taken: Iterable[str]) -> str:
    """A name like a text that is not taken: with other signs as _, and a number if need be."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    if not name or name[0].isdigit():
        name = f"_{name}"
    if name not in taken:
        return name
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"
