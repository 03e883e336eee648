"""What the packed weights of a library follow from, as `pack.c` reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnndsl.backends.native.artefact import CODES
from cnndsl.backends.native.packing import Packing
from cnndsl.ir.serialise import expressions_to_json

Shape = tuple[int, ...]
MOST_AXES = 16
"""CNNDSL_MOST_AXES of `safetensors.h`."""
ELEMENTWISE = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "equaliser",
    "sqrt",
    "rounded",
    "float32",
    "bfloat16",
    "significant",
)
COLUMNS = 90


def source(packing: Packing) -> str:
    """The recipe in C, `cnndsl_recipe`. Raises ValueError for arrays of over MOST_AXES axes."""
    code = _Code()
    weights = packing.entries.items()
    table = expressions_to_json({name: weight.expression for name, (weight, _) in weights})
    row_of = [code.of(row) for row in table["expressions"]]
    numbers: list[int | str] = [number for row in code.rows for number in row]
    groups: dict[str, int] = {}
    for name, (weight, offset) in weights:
        group = groups.setdefault(name.partition(":")[0], len(groups))
        form = f"CNNDSL_{CODES[weight.dtype]}"
        numbers += [row_of[table["names"][name]], group, form, offset]
    names = "".join(f"{name}\0" for name in code.names).encode()
    return "\n".join(
        [
            "#include <pack.h>",
            "#include <math.h>",
            _array("unsigned char", "names", [*names, 0]),
            _array("unsigned char", "code", _bytes(numbers)),
            _array("double", "constants", [*map(_in_c, code.constants), 0]),
            "const struct cnndsl_recipe cnndsl_recipe = {",
            f"    {len(code.names)}, {len(code.rows)}, {len(weights)}, {len(numbers)}u,",
            "    (const char *)names, code, constants};",
        ]
    )


class _Code:
    """The rows of expressions, arguments before what uses them, equal ones once."""

    def __init__(self) -> None:
        self.rows: list[list[int | str]] = []
        self.names: list[str] = []
        self.constants: list[float] = []
        self._shapes: list[Shape] = []
        self._known: dict[Any, int] = {}
        self._rows: list[int] = []

    def of(self, row: Sequence[Any]) -> int:
        """The number of a row of `expressions_to_json`."""
        if row[0] == "parameter":
            _, name, shape, init, _ = row
            self.names.append(name)
            number = self._add("parameter", shape, (), (len(self.names) - 1, init == "prelu"))
        elif row[0] == "constant":
            shape, values = _flat(row[1])
            self.constants += values
            number = self._add("constant", shape, (), (len(self.constants) - len(values),))
        else:
            _, function, arguments, shape, settings = row
            given = [self._rows[index] for index in arguments]
            number = self._apply(function, given, tuple(shape), dict(settings))
        self._rows.append(number)
        return number

    def _apply(
        self, function: str, given: Sequence[int], shape: Shape, settings: Mapping[str, Any]
    ) -> int:
        if function == "einsum":
            return self._einsum(given, settings["spec"])
        if function in ELEMENTWISE:
            given = [self._broadcast(argument, shape) for argument in given]
        inner = self._shapes[given[0]]
        return self._add(function, shape, given, _settings(function, settings, inner))

    def _broadcast(self, argument: int, shape: Shape) -> int:
        if self._shapes[argument] == shape:
            return argument
        return self._add("broadcast", shape, (argument,), ())

    def _einsum(self, given: Sequence[int], spec: str) -> int:
        """One of two operands after the other, the largest first."""
        letters, result = spec.split("->")
        parts = sorted(
            zip(letters.split(","), given, strict=True),
            key=lambda part: -math.prod(self._shapes[part[1]]),
        )
        if len(parts) == 1:
            self.constants.append(1.0)
            one = self._add("constant", (), (), (len(self.constants) - 1,))
            parts.append(("", one))
        while len(parts) > 1:
            (a, first), (b, second), *rest = parts
            later = set(result).union(*(letters for letters, _ in rest))
            kept = "".join(x for x in dict.fromkeys(a + b) if x in later) if rest else result
            parts = [(kept, self._contract(a, first, b, second, kept)), *rest]
        return parts[0][1]

    def _contract(self, a: str, first: int, b: str, second: int, kept: str) -> int:
        sizes = dict(zip(a + b, (*self._shapes[first], *self._shapes[second]), strict=True))
        summed = "".join(x for x in dict.fromkeys(a + b) if x not in kept)
        labels = [(kept + summed).index(x) for x in a + b]
        settings = (len(summed), *(sizes[x] for x in summed), *labels)
        return self._add("einsum", tuple(sizes[x] for x in kept), (first, second), settings)

    def _add(
        self, kind: str, shape: Sequence[int], arguments: Sequence[int], settings: Iterable[int]
    ) -> int:
        key = (kind, tuple(shape), tuple(arguments), tuple(map(int, settings)))
        if key not in self._known:
            _, shape, arguments, settings = key
            if len(shape) > MOST_AXES:
                raise ValueError(f"{kind} has {len(shape)} axes")
            number = self._known[key] = len(self.rows)
            back = [number - argument for argument in arguments]
            counted = (len(shape), *shape, len(back), *back, len(settings), *settings)
            self.rows.append([f"CNNDSL_{kind.upper()}", *counted])
            self._shapes.append(shape)
        return self._known[key]


def _settings(function: str, settings: Mapping[str, Any], inner: Shape) -> list[int]:
    """The settings of a function of `cnndsl.weights.evaluate` as `pack.h` has them."""
    match function:
        case "flip" | "sum_axes" | "largest_size":
            return [axis in settings["axes"] for axis in range(len(inner))]
        case "transpose":
            return list(settings["axes"])
        case "slice_axis":
            return [settings["axis"], settings["start"]]
        case "concat":
            return [settings["axis"]]
        case "pad":
            return [before for before, _ in settings["pads"]]
        case "take":
            return [settings["axis"], *settings["indices"]]
        case "embed_table":
            rows = settings["table"]
            stops = [sum(map(len, rows[: index + 1])) for index in range(len(rows))]
            return [*stops, *(channel for row in rows for channel in row)]
        case "rounded":
            return [settings["limit"]]
        case "significant":
            return [settings["bits"]]
    return []


def _flat(values: Any) -> tuple[Shape, list[float]]:
    """The shape of nested sequences, and their numbers, the last axis fastest."""
    if not isinstance(values, list | tuple):
        return (), [float(values)]
    parts = [_flat(item) for item in values]
    return (len(parts), *(parts[0][0] if parts else ())), [x for _, part in parts for x in part]


def _bytes(numbers: Iterable[int | str]) -> list[int | str]:
    """Whole numbers in 7 bits of a byte each, the lowest first; names in C are below 128."""
    found: list[int | str] = []
    for number in numbers:
        if isinstance(number, str):
            found.append(number)
            continue
        while number > 127:
            found.append(number & 127 | 128)
            number >>= 7
        found.append(number)
    return found


def _in_c(number: float) -> str:
    if math.isfinite(number):
        return number.hex()
    return "NAN" if math.isnan(number) else f"{'-' * (number < 0)}INFINITY"


def _array(kind: str, name: str, items: Iterable[Any]) -> str:
    lines, line = [], ""
    for item in items:
        line += f"{item},"
        if len(line) > COLUMNS:
            lines.append(line)
            line = ""
    return "\n".join([f"static const {kind} {name}[] = {{", *lines, line, "};"])
