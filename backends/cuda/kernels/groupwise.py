"""Statistics of groups of elements, and functions of single elements and these: a block a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cnndsl.backends.cuda.kernel import Call, Families, Kernel, Launch, nearest
from cnndsl.backends.cuda.steps import formula_text, number
from cnndsl.ir.algebra import pad
from cnndsl.ir.formula import Formula
from cnndsl.ir.operators import OPERATORS, Groupwise
from cnndsl.ir.types import FLOAT32

SHARING = (32, 64, 128, 256, 512, 1024)
"""Threads of a block to choose from that share a group."""


def groupwise(call: Call[Groupwise]) -> Iterator[Kernel]:
    """A block for each group, or for a vector of groups that are one channel each."""
    x, y, op = call.x, call.output, call.op
    groups = op.groups_of(x.channels)
    if groups is None:
        blocks, elements, lanes, places = y.batch * y.positions, x.channels, 1, _AT_POSITIONS
    elif groups == x.channels:
        blocks, elements, lanes, places = y.batch * y.blocks, y.positions, y.block, _EACH_CHANNEL
    else:
        elements = x.channels // groups * y.positions
        blocks, lanes, places = y.batch * groups, 1, _RUNS
    params = {
        f"group_{role}": pad(value, ((0, y.padded - x.channels),))
        for role, value in call.core.params.items()
    }
    constants = {
        "LANES": lanes,
        "ELEMENTS": elements,
        "STATISTICS": sum(map(len, op.stages)) + len(op.once),
        "POSITIONS": y.positions,
        "GROUPS": groups or 1,
        "SIZE": x.channels // (groups or 1),
        "PADDED": y.padded,
    }
    members = places + _statistics(op, elements) + _compute(op)
    busy = [n for n in SHARING if n < 2 * elements or n == SHARING[0]]
    for threads in nearest(min(busy[-1], 256 if groups is None else 1024), busy):
        shared = threads * FLOAT32.bytes
        launch = Launch((blocks, 1, 1), threads, shared, cooperative=True)
        weights = {**params, **call.step_weights()}
        yield Kernel(
            "groupwise", f"{threads} threads", "groupwise", launch, weights, constants, members
        )


_AT_POSITIONS = """\
  DEVICE Place group(int number) { return position<X0>(number); }
  DEVICE Place element(Place p, int i) { p.c = i; return p; }
  DEVICE int results(const Place &) { return PADDED; }
  DEVICE Place result(const Place &p, int i) { return element(p, i); }
"""

_EACH_CHANNEL = """\
  DEVICE Place group(int number) {
    return {number / (PADDED / LANES), number % (PADDED / LANES) * LANES, 0, 0, 0};
  }
  DEVICE Place element(const Place &p, int i) {
    Place q = position<X0>(i);
    q.n = p.n, q.c = p.c;
    return q;
  }
  DEVICE int results(const Place &) { return POSITIONS; }
  DEVICE Place result(const Place &p, int i) { return element(p, i); }
"""

_RUNS = """\
  DEVICE Place group(int number) { return {number / GROUPS, number % GROUPS * SIZE, 0, 0, 0}; }
  DEVICE Place run(const Place &p, int i, int size) {
    Place q = position<X0>(i / size);
    q.n = p.n, q.c = p.c + i % size;
    return q;
  }
  DEVICE int size(const Place &p) { return p.c / SIZE == GROUPS - 1 ? PADDED - p.c : SIZE; }
  DEVICE Place element(const Place &p, int i) { return run(p, i, SIZE); }
  DEVICE int results(const Place &p) { return size(p) * POSITIONS; }
  DEVICE Place result(const Place &p, int i) { return run(p, i, size(p)); }
"""


def _statistics(op: Groupwise, elements: int) -> str:
    """The member that finds all statistics, one after another."""
    names = _names(op)
    lines = []
    for name, reduction in ((n, r) for stage in op.stages for n, r in stage.items()):
        term = formula_text(reduction.term, _leaf(names, "x", "s"))
        function = f"[&](float x, const float *s) {{ return {term}; }}"
        given = f"group, {names.index(name)}"
        if reduction.kind == "largest":
            lines.append(f"largest({given}, {function});")
        else:
            factor = number(1 / elements if reduction.kind == "mean" else 1.0)
            lines.append(f"sum({given}, {factor}, {function});")
    for name, formula in op.once.items():
        text = formula_text(formula, _leaf(names, "", "s"))
        function = f"[&](const float *s) {{ return {text}; }}"
        lines.append(f"once(group, {names.index(name)}, {function});")
    body = "".join(f"    {line}\n" for line in lines)
    return f"  template <class G> DEVICE void statistics(G &group) {{\n{body}  }}\n"


def _compute(op: Groupwise) -> str:
    """The member that makes results of elements."""
    loads = "".join(
        f"    float {role}[V];\n    load({role}, a.group_{role} + p.c);\n"
        for role in op.result.roles()
    )
    text = formula_text(op.result, _leaf(_names(op), "v[i]", "s[i]"))
    return (
        "  template <int V>\n"
        "  DEVICE void compute(float (&v)[V], const Arguments &a, const Place &p,\n"
        "                      const float (&s)[V][STATISTICS]) {\n"
        f"{loads}    EACH v[i] = {text};\n  }}\n"
    )


def _names(op: Groupwise) -> list[str]:
    return [*(name for stage in op.stages for name in stage), *op.once]


def _leaf(names: list[str], x: str, statistics: str) -> Callable[[Formula], str]:
    def text(part: Formula) -> str:
        if part.function == "number":
            return number(float(part.value))
        if part.function == "statistic":
            return f"{statistics}[{names.index(str(part.value))}]"
        return x if part.function == "x" else f"{part.value}[i]"

    return text


FAMILIES: Families = {op: groupwise for op in OPERATORS if issubclass(op, Groupwise)}
