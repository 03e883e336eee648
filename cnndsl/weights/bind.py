"""Arrays to parameters: every parameter gets a checked float32 array, or the user a report."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnndsl.diagnostics import CnnError, CnnWarning, Diagnostic, Note
from cnndsl.diagnostics.render import text
from cnndsl.ir.expressions import Parameter
from cnndsl.runtime.given import as_array
from cnndsl.weights.buffers import Weights
from cnndsl.weights.initialise import Start, initialise

Array = NDArray[Any]

SHOWN = 10
"""Names listed of each kind of problem; the rest is counted."""


@dataclass(frozen=True)
class Bound:
    """A float32 array for every parameter, by name, and remarks on what was left over."""

    values: dict[str, Array]
    warnings: tuple[Diagnostic, ...]


def bind(
    parameters: Mapping[str, Parameter],
    arrays: Mapping[str, Array] | None,
    *,
    seed: int | None,
    starts: Mapping[str, Start] | None = None,
    unread: Container[str] = (),
) -> Bound:
    """Give every parameter its array from `arrays`, or with a seed a starting value.

    Arrays may be float16, 32 or 64. PyTorch's batch counters (`num_batches_tracked`) are left
    out, and the one slope that a PReLU may have for all channels is repeated. Without arrays the
    parameters start as `starts` says, which `cnndsl.weights.moments.starts` finds. Arrays named in
    `unread` are of the network, which needs them in training alone. Warnings: W0204
    unexpected names, W0205 parameters that were initialised although there are arrays, and those
    of the file that the arrays come from.

    Raises CnnError: E0402 without arrays and seed, E0404 for names that are missing (without a
    seed) or have another shape, E0405 for what is no array of floats, E0406 for NaN, infinity
    and numbers beyond float32.
    """
    if arrays is None:
        if seed is None and parameters:
            raise CnnError.of(
                "E0402",
                "the network has parameters, but no weights were given",
                hint="give --weights FILE, or --seed N for random ones",
            )
        return Bound(initialise(parameters, seed or 0, starts), ())
    given = {name: as_array(repr(name), array, "E0405") for name, array in arrays.items()}
    given = {name: array for name, array in given.items() if not _is_counter(name, array)}
    missing = {name: p for name, p in parameters.items() if name not in given}
    strange = given.keys() - parameters.keys()
    unexpected = {n: a for n, a in given.items() if n in strange and n not in unread}
    known = {name: with_slopes(given[name], p) for name, p in parameters.items() if name in given}
    reshaped = {name: a for name, a in known.items() if a.shape != parameters[name].shape}

    errors = []
    if reshaped or (missing and seed is None):
        blamed = missing if seed is None else {}
        errors.append(_mismatch(parameters, blamed, unexpected, reshaped))
    errors += [d for name, array in known.items() if (d := _check_numbers(name, array))]
    if errors:
        raise CnnError(errors, usage=True)

    values = {name: array.astype(np.float32, copy=False) for name, array in known.items()}
    values.update(initialise(missing, seed or 0))
    remarks = arrays.warnings if isinstance(arrays, Weights) else ()
    remarks = (*remarks, *_warnings(unexpected, missing))
    return Bound({name: values[name] for name in parameters}, remarks)


def warn_of(bound: Bound) -> None:
    """Python warnings (CnnWarning) at who called the caller, one for each remark."""
    for remark in bound.warnings:
        warnings.warn(text([remark]), CnnWarning, stacklevel=3)


def with_slopes(array: Array, parameter: Parameter) -> Array:
    """The one slope of a PReLU once for each channel; any other array as it is."""
    single = parameter.init == "prelu" and array.shape == (1,)
    return np.repeat(array, parameter.shape[0]) if single else array


def _is_counter(name: str, array: Array) -> bool:
    counter = name.rpartition(".")[2] == "num_batches_tracked"
    return counter and array.ndim == 0 and np.issubdtype(array.dtype, np.integer)


def _check_numbers(name: str, array: Array) -> Diagnostic | None:
    if not np.issubdtype(array.dtype, np.floating):
        return Diagnostic("E0405", f"{name!r} holds {array.dtype}, weights are floats")
    with np.errstate(over="ignore"):
        finite = np.isfinite(array.astype(np.float32, copy=False))
    if finite.all():
        return None
    first = np.unravel_index(int(np.argmin(finite)), array.shape)
    place = f" at index [{', '.join(map(str, first))}]" if array.ndim else ""
    bad = finite.size - int(np.count_nonzero(finite))
    return Diagnostic(
        "E0406",
        f"{name!r} holds {array[first]}{place}",
        hint=f"{bad} of its {finite.size} numbers are not finite in float32",
    )


def _mismatch(
    parameters: Mapping[str, Parameter],
    missing: Mapping[str, Parameter],
    unexpected: Mapping[str, Array],
    reshaped: Mapping[str, Array],
) -> Diagnostic:
    lines = [
        f"missing: {name} {_shape(p.shape)}{_suggestion(name, p.shape, unexpected)}"
        for name, p in _first(missing)
    ]
    lines += _rest("missing", missing)
    lines += [
        f"wrong shape: {name} is {_shape(array.shape)}, the network needs "
        f"{_shape(parameters[name].shape)}"
        for name, array in _first(reshaped)
    ]
    lines += _rest("wrong shape", reshaped)
    lines += _unexpected_lines(unexpected)
    counts = {"missing": missing, "of another shape": reshaped, "unexpected": unexpected}
    summary = ", ".join(f"{len(names)} {what}" for what, names in counts.items() if names)
    return Diagnostic(
        "E0404",
        f"the weights do not fit the network's {len(parameters)} parameters: {summary}",
        hint="`cnndsl weights convert` brings weights of other frameworks, --weights-map FILE "
        "renames; --seed N initialises what is missing",
        notes=tuple(map(Note, lines)),
    )


def _suggestion(name: str, shape: Sequence[int], unexpected: Mapping[str, Array]) -> str:
    """The closest unexpected name, of those with the right shape if there are any."""
    fitting = [other for other, array in unexpected.items() if array.shape == shape]
    close = difflib.get_close_matches(name, fitting or list(unexpected), n=1)
    return f" (the weights have {close[0]} {_shape(unexpected[close[0]].shape)})" if close else ""


def _warnings(
    unexpected: Mapping[str, Array], missing: Mapping[str, Parameter]
) -> tuple[Diagnostic, ...]:
    found = []
    if unexpected:
        names = "1 name" if len(unexpected) == 1 else f"{len(unexpected)} names"
        message = f"the weights have {names} that the network does not have"
        notes = tuple(map(Note, _unexpected_lines(unexpected)))
        found.append(Diagnostic("W0204", message, notes=notes))
    if missing:
        names = "1 parameter" if len(missing) == 1 else f"{len(missing)} parameters"
        message = f"the weights lack {names}, made from the seed instead"
        lines = [f"initialised: {name} {_shape(p.shape)}" for name, p in _first(missing)]
        notes = tuple(map(Note, lines + _rest("initialised", missing)))
        found.append(Diagnostic("W0205", message, notes=notes))
    return tuple(found)


def _unexpected_lines(unexpected: Mapping[str, Array]) -> list[str]:
    lines = [f"unexpected: {name} {_shape(array.shape)}" for name, array in _first(unexpected)]
    return lines + _rest("unexpected", unexpected)


def _first(names: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(names.items())[:SHOWN]


def _rest(what: str, names: Mapping[str, Any]) -> list[str]:
    return [f"{what}: and {len(names) - SHOWN} more"] if len(names) > SHOWN else []


def _shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"
