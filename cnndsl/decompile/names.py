"""Names for symbols, blocks, outputs and the network, as the field calls them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import groupby

from cnndsl.decompile.program import (
    Block,
    Call,
    Each,
    Item,
    Join,
    Let,
    Loop,
    Output,
    Program,
    Symbol,
    Value,
    everything,
    inside,
    names_of,
)
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BY_NAME, Add, Concat, Mul
from cnndsl.language.functions import CONSTANTS, FUNCTIONS, SHAPE_NAMES

KEYWORDS = frozenset((
    *("import", "from", "defaults", "block", "network", "input", "let", "layer", "output"),
    *("auxiliary", "if", "else", "for", "in", "repeat", "return"),
    *("and", "or", "not", "true", "false"),
))  # fmt: skip
KNOWN = {*KEYWORDS, *BY_NAME, *CONSTANTS, *FUNCTIONS, *SHAPE_NAMES}
"""What has a meaning already."""


def give_names(program: Program) -> None:
    """Give every symbol and block of a program a name."""
    program.name = identifier(program.name, KEYWORDS)
    taken = {*KNOWN, program.name}
    program.sort_blocks()
    for block in program.blocks:
        block.name = identifier(_kind(block), taken)
        taken.add(block.name)
    for block in program.blocks:
        _name_widths(block)
        own = set(taken)
        _give(block.parameters, own)
        _name(block.body, own)
    own = set(taken)
    _give([symbol for symbol, _ in (*program.inputs, *program.layers)], own)
    own.update(item.name for item in program.body if isinstance(item, Output))
    _name(program.body, own)


def _give(symbols: Sequence[Symbol], taken: set[str]) -> None:
    for symbol in symbols:
        symbol.name = identifier(symbol.title or symbol.hint, taken)
        taken.add(symbol.name)


def _name(chain: Sequence[Item], taken: set[str]) -> None:
    """Name what a chain names; loops and branches beside one another can use the same names."""
    for item in chain:
        own = set(taken) if inside(item) else taken
        if isinstance(item, Loop | Each):
            _give(item.symbols, own)
        for inner in inside(item):
            _name(inner, set(own))
        if isinstance(item, Let):
            _give([item.symbol], taken)


def identifier(text: str, taken: Collection[str]) -> str:
    """A name like a text that is not taken: with other signs as _, and a number if need be."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    if not name or name[0].isdigit():
        name = f"_{name}"
    number, found = 2, name
    while found in taken:
        found = f"{name}{number}"
        number += 1
    return found


def name_outputs(graph: Graph) -> None:
    """Give the outputs of a graph names that the language can read.

    They hide what they are called like in the statements below.
    """
    alone = len(graph.outputs) + len(graph.auxiliaries) == 1
    taken = {*(KEYWORDS if alone else KNOWN), *graph.inputs}

    def given(name: str) -> str:
        found = identifier(name, taken)
        taken.add(found)
        return found

    if list(graph.outputs) != ["output"]:
        graph.outputs = {given(name): node for name, node in graph.outputs.items()}
    graph.auxiliaries = {given(name): aux for name, aux in graph.auxiliaries.items()}


# Kinds of blocks


def _kind(block: Block) -> str:
    """What the field calls a block, or else what it is made of."""
    words = [word for word, _ in _layers(block.body)]
    kernels = [kernel for word, kernel in _layers(block.body) if word == "conv"]
    join = next((item for item in block.body if isinstance(item, Join)), None)
    if join is None:
        calls = [item for item in everything(block.body) if isinstance(item, Call)]
        if calls and all(isinstance(call.callee, Block) for call in calls):
            return "stage"
        return _sequence(words)
    is_residual = not all(join.branches)
    if join.operator is Mul:
        kind = "se" if "global_avgpool" in words else "gate"
        return kind if len(block.body) == 1 else _sequence(words)
    if join.operator is Add:
        if "depthwise" in words:
            is_inverted = "conv" in words[: words.index("depthwise")]
            return "inverted_residual" if is_inverted else "residual"
        kinds = {(1, 3, 1): "bottleneck", (3, 3): "basic"}
        return next(
            (kind for k, kind in kinds.items() if tuple(kernels[: len(k)]) == k), "residual"
        )
    if join.operator is Concat:
        if is_residual:
            return "dense_layer"
        if len(join.branches) == 2:
            return "fire" if kernels[:3] == [1, 1, 3] else "branches"
        strided = any(w.endswith("pool") for w in words) and "stride" in names_read(block.body)
        return "reduction" if strided else "inception"
    return "unit"


def _sequence(words: Sequence[str]) -> str:
    """What a chain is made of: conv_bn_relu."""
    if "depthwise" in words and "conv" in words:
        is_inverted = words.index("conv") < words.index("depthwise")
        return "inverted_bottleneck" if is_inverted else "separable"
    short = [word for word, _ in groupby(words)]
    return "_".join(short[:3]) if short else "unit"


def names_read(chain: Sequence[Item]) -> set[str]:
    """The attributes whose written value is not their usual one."""
    return {
        name
        for item in everything(chain)
        if isinstance(item, Call)
        for name, value in zip(names_of(item.callee), item.arguments, strict=True)
        if value not in (None, 1, "same", False)
    }


def _layers(chain: Sequence[Item]) -> list[tuple[str, Value]]:
    """The operators of a chain and of the blocks in it, with their kernels."""
    found: list[tuple[str, Value]] = []
    for item in everything(chain):
        if isinstance(item, Call) and isinstance(item.callee, Block):
            given = zip(item.callee.parameters, item.arguments, strict=True)
            kernel = next((value for symbol, value in given if symbol.hint == "kernel"), None)
            inner = _layers(item.callee.body)
            found += [(word, kernel if isinstance(k, Symbol) else k) for word, k in inner]
        elif isinstance(item, Call):
            names = names_of(item.callee)
            kernel = item.arguments[names.index("kernel")] if "kernel" in names else None
            found.append((item.callee.name, kernel))
    return found


# Widths in branches


def _name_widths(block: Block) -> None:
    """Call the widths of convolutions side by side as tables of papers do: n3x3, reduce3x3."""
    for join in block.body:
        if isinstance(join, Join) and sum(s.hint == "filters" for s in block.parameters) > 2:
            for branch in join.branches:
                _name_branch(branch, block.parameters)


def _name_branch(branch: Sequence[Item], parameters: Sequence[Symbol]) -> None:
    calls = [item for item in branch if isinstance(item, Call)]
    widths = [_width(call) for call in calls]
    for index, (symbol, kernel) in enumerate(widths):
        if symbol not in parameters or symbol.hint != "filters" or not isinstance(kernel, int):
            continue
        later = [k for _, k in widths[index + 1 :] if isinstance(k, int) and k > 1]
        if kernel == 1 and later:
            symbol.title = f"reduce{later[0]}x{later[0]}"
        elif index and not isinstance(calls[index - 1].callee, Block) and kernel == 1:
            symbol.title = "projection"
        else:
            symbol.title = f"n{kernel}x{kernel}"


def _width(call: Call) -> tuple[Value, Value]:
    """The filters and the kernel of a convolution, or of a block with one."""
    if isinstance(call.callee, Block):
        names = [symbol.hint for symbol in call.callee.parameters]
        kernels = [k for w, k in _layers([call]) if w == "conv"]
        kernel = kernels[0] if kernels else None
        return (call.arguments[names.index("filters")] if "filters" in names else None, kernel)
    names = names_of(call.callee)
    if "filters" not in names:
        return None, None
    return call.arguments[names.index("filters")], call.arguments[names.index("kernel")]
