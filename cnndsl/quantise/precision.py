"""A network in the precision that a user asks for, as the graph that backends compile."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from os import PathLike
from typing import Any, TypeAlias

from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.spelling import did_you_mean
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import BACKWARD
from cnndsl.ir.types import BFLOAT16, FLOAT16
from cnndsl.passes.pipeline import optimise
from cnndsl.quantise.calibration import Calibration, calibration_of
from cnndsl.quantise.convert import quantised, scales_of
from cnndsl.quantise.equalise import equalise
from cnndsl.quantise.explicit import Explicit, explicit_of, is_explicit
from cnndsl.quantise.floats import stored_as
from cnndsl.quantise.means import operand_means
from cnndsl.quantise.prepare import prepare
from cnndsl.quantise.reading import read_json
from cnndsl.quantise.rounding import on_explicit_codes

Codes: TypeAlias = Calibration | Explicit
"""What tells to which codes numbers are rounded."""

FLOATS = {"bf16": BFLOAT16, "f16": FLOAT16}


def in_precision(
    graph: Graph,
    precision: str,
    fusions: Collection[str],
    *,
    level: int,
    disable: Collection[str],
    calibration: Codes | str | PathLike[str] | None,
    keep_float: Sequence[str],
    min_snr: float | None,
) -> Graph:
    """An optimised copy of a graph whose types carry the formats of a precision.

    What stands behind `disable` is for int8 alone. Raises CnnError as `on_codes` does.
    """
    if precision != "f32" and any(isinstance(node.op, BACKWARD) for node in graph.nodes()):
        raise CnnError.of("E0901", f"gradients are computed in float32, not in {precision}")
    if precision == "int8":
        _, result = on_codes(
            graph, calibration, level=level, disable=disable, keep_float=keep_float, min_snr=min_snr
        )
        return result
    optimised, _ = optimise(graph, level, disable=disable, fusions=fusions)
    return on_halves(graph, optimised, precision) if precision in FLOATS else optimised


def on_halves(written: Graph, optimised: Graph, precision: str) -> Graph:
    """What passes made of a graph in bf16 or f16; in bf16 biases make good for rounded weights."""
    means = operand_means(written, optimised) if precision == "bf16" else {}
    return stored_as(optimised, FLOATS[precision], means)


def refuse_for_others(precision: str, *given: object) -> None:
    """Raise CnnError (E0902) if something is given for int8 alone, and that is not asked for."""
    if precision != "int8" and any(value not in (None, ()) for value in given):
        raise CnnError.of(
            "E0902",
            f"a calibration is of no use for {precision}",
            hint="ask for --precision int8, or leave out --calibration, --keep-float and --min-snr",
        )


def on_codes(
    graph: Graph,
    calibration: Codes | str | PathLike[str] | None,
    *,
    level: int,
    disable: Collection[str] = (),
    keep_float: Sequence[str] = (),
    min_snr: float | None = None,
) -> tuple[Graph, Graph]:
    """The prepared graph in float32, and the same on codes but for the layers that stay float.

    Those are what `keep_float` names, and layers that cost more than `min_snr` dB by themselves.
    Raises CnnError: E0902 without a calibration, as `read_calibration` and `Calibration.require`
    do, and E0906 for names of nothing.
    """
    if calibration is None:
        raise CnnError.of(
            "E0902",
            "int8 needs a calibration",
            hint="`cnndsl calibrate` makes it; give it as --calibration FILE",
        )
    found = calibration if isinstance(calibration, Calibration | Explicit) else _read(calibration)
    if isinstance(found, Explicit):
        return _explicit(graph, found, level, disable, keep_float, min_snr)
    prepared = prepare(graph, level, disable)
    found.require(prepared)
    equalise(prepared, found.peaks)
    kept = named(prepared, keep_float) | costly(found, min_snr)
    return prepared, quantised(prepared, scales_of(found.tensors, found.corrected), kept)


def _explicit(
    graph: Graph,
    found: Explicit,
    level: int,
    disable: Collection[str],
    keep_float: Sequence[str],
    min_snr: float | None,
) -> tuple[Graph, Graph]:
    """See `on_codes`, of a quantised model."""
    if min_snr is not None:
        raise CnnError.of(
            "E0902",
            "no signal-to-noise ratios are known of a quantised model",
            hint="name layers by --keep-float",
        )
    found.require(graph)
    kept = named(graph, keep_float)
    return on_explicit_codes(graph, found, level=level, disable=disable, keep_float=kept)


def _read(path: str | PathLike[str]) -> Codes:
    def make(file: str, data: Mapping[str, Any]) -> Codes:
        return explicit_of(file, data) if is_explicit(data) else calibration_of(file, data)

    return read_json(str(path), make)


def named(graph: Graph, patterns: Sequence[str]) -> set[str]:
    """The nodes that names of layers, of blocks, and patterns stand for.

    Raises CnnError (E0906) if one stands for none.
    """
    names = [node.name for node in graph.nodes()]
    found: set[str] = set()
    for pattern in patterns:
        own = {n for n in names if n.startswith(f"{pattern}.") or fnmatchcase(n, pattern)}
        if not own:
            hint = did_you_mean(pattern, names) or "`cnndsl inspect` shows the names"
            raise CnnError.of("E0906", f"there is no layer {pattern!r}", hint=hint)
        found |= own
    return found


def costly(calibration: Calibration, least: float | None) -> set[str]:
    """The nodes whose own signal-to-noise ratio on codes is below `least` dB."""
    if least is None:
        return set()
    tensors = calibration.tensors.items()
    return {name for name, found in tensors if found.snr is not None and found.snr < least}
