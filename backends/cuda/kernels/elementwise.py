"""Each number is one of the operand: identity, and operators that move elements.

Activations, per-channel maps and joins are an identity with an epilogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, elementary
from cnndsl.backends.cuda.steps import number
from cnndsl.backends.cuda.windows import three
from cnndsl.backends.native.task import tap_tables
from cnndsl.ir.index import axis
from cnndsl.ir.operators import (
    ALL,
    BESIDE,
    ConcatPositions,
    ConstantValue,
    Fixed,
    Gathering,
    Identity,
    LearnedValue,
    Resize,
)

EACH = (1, 2, 4)
"""Vectors of outputs in a thread to choose from: their operands are read together."""
TEXTS = {
    "add": "({} + {})",
    "multiply": "({} * {})",
    "divide": "({} / {})",
    "remainder": "({} % {})",
    "maximum": "larger({}, {})",
    "minimum": "smaller({}, {})",
}
INDICES = {word: text.format for word, text in TEXTS.items()}
"""The functions of formulas of indices."""


def identity(call: Call[Any]) -> Iterator[Kernel]:
    """y = x, also from one layout to another."""
    return elementary("elementwise", call, "fetch<X0>(v, a.x0, p); begin(v, a, p);", each=EACH)


def fixed(call: Call[Fixed]) -> Iterator[Kernel]:
    """A value of the caller's layout."""
    index = "a.value[((c * Y::NZ + p.z) * Y::NY + p.y) * Y::NX + p.x]"
    core = f"each_channel<Y>(v, p, [&](int c) {{ return {index}; }});"
    return elementary("elementwise", call, core, weights={"value": call.core.params["value"]})


def gather(call: Call[Gathering]) -> Iterator[Kernel]:
    """Each result is the element at `source`, or `fill` where there is none."""
    (x,), output, fill = call.core.inputs, call.core.output, call.op.fill
    source = call.op.source(x)
    channel, *position = source
    together = channel == axis(0) and x.channels == output.channels
    together = together and all(0 not in index.axes for index in position)
    axes = ["p.c" if together else "c", *(f"p.{name}" for name in "zyx"[3 - output.rank :])]
    found = [index.compute(axes, INDICES) for index in source]
    place = "{" + ", ".join(map(str, ("p.n", found[0], *three(found[1:], 0)))) + "}"
    inside = [
        f"0 <= {text} && {text} < {size}"
        for text, index, size in zip(found, source, x.sizes, strict=True)
        if fill is not None and not _fits(index.bounds(output.sizes), size)
    ]
    condition, value = " && ".join(inside) or "true", number(fill or 0.0)
    if together:
        core = f"if ({condition}) {{ const Place q = {place}; fetch<X0>(v, a.x0, q); }} "
        return elementary("elementwise", call, f"{core}else fill(v, {value});", each=EACH)
    core = f"if (!({condition})) return {value}; const Place q = {place}; return pick<X0>(a.x0, q);"
    return elementary("moves", call, f"each_channel<Y>(v, p, [&](int c) {{ {core} }});")


def _fits(bounds: tuple[int, int], size: int) -> bool:
    return bounds[0] >= 0 and bounds[1] < size


def resize(call: Call[Resize]) -> Iterator[Kernel]:
    """Weighted sums of the vectors at the taps, which tables hold."""
    (x,), output = call.core.inputs, call.core.output
    tables, counts = tap_tables(call.op, x, output)
    loops, position, weight = "", [], "1.0f"
    for number_of, (count, name) in enumerate(zip(counts, "zyx"[3 - x.rank :], strict=True)):
        tap = f"p.{name} * {count} + {name}"
        loops += f"for (int {name} = 0; {name} < {count}; ++{name}) "
        position.append(f"(int)a.places{number_of}[{tap}]")
        weight += f" * a.weights{number_of}[{tap}]" if count > 1 else ""
    place = ", ".join(map(str, ("p.n", "p.c", *three(position, "0"))))
    core = (
        f"float w[V]; fill(v, 0.0f); {loops}{{ const Place q = {{{place}}}; "
        f"fetch<X0>(w, a.x0, q); const float f = {weight};\n#pragma unroll\n    "
        "EACH v[i] += f * w[i]; }"
    )
    return elementary("resize", call, core, weights=tables)


def beside(call: Call[ConcatPositions]) -> Iterator[Kernel]:
    """The operands' maps one after another on an axis."""
    rank, core, start = call.core.output.rank, "Place q = p; ", 0
    axis = call.op.axis(rank)
    name = f"q.{'zyx'[3 - rank + axis]}"
    for index, x in enumerate(call.core.inputs):
        read = f"{name} -= {start}; fetch<X{index}>(v, a.x{index}, q);"
        start += x.sizes[1 + axis]
        core += f"{'else ' if index else ''}if ({name} < {start}) {{ {read} }} "
    return elementary("elementwise", call, core)


FAMILIES: Families = {
    **dict.fromkeys(BESIDE, beside),
    Resize: resize,
    Identity: identity,
    ConstantValue: fixed,
    LearnedValue: fixed,
    **{op: gather for op in ALL if issubclass(op, Gathering)},
}
