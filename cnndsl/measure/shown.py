"""Measurements as text and as HTML, from their plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnndsl.measure.tables import MEGABYTE, Table, errors, layers, runtimes
from cnndsl.notebook.elements import heading, note, table


def contest_title(data: Mapping[str, Any]) -> str:
    """What ran, and how."""
    return f"{data['network']}, batch {data['batch']}, threads {data['threads']}"


def arena_line(data: Mapping[str, Any]) -> str:
    """The planned memory; empty if there is no plan."""
    planned = data["arena_bytes"]
    return "" if planned is None else f"planned arena: {planned / MEGABYTE:.1f} MB"


def layer_lines(data: Mapping[str, Any]) -> list[str]:
    """What stands under the table of the layers."""
    whole, peak = data["runtimes"][0]["p50_ms"], data["machine"]
    found = [f"all layers: {data['layers_ms']:.3f} ms, the whole call: {whole:.3f} ms"]
    if peak is not None:
        gflops, bandwidth = peak["gflops"], peak["gb_per_second"]
        others = "".join(f" ({each:.1f} in {name})" for name, each in peak["products"].items())
        found.append(
            f"this machine: {gflops:.1f} GFLOP/s{others}, {bandwidth:.1f} GB/s from memory"
        )
    return found


def contest_text(data: Mapping[str, Any]) -> str:
    """The runtimes, and the layers if they were measured."""
    lines = [contest_title(data), *runtimes(data).lines(), arena_line(data)]
    if data["layers"]:
        lines += ["", *layers(data).lines(), *layer_lines(data)]
    return "\n".join(lines)


def contest_html(data: Mapping[str, Any]) -> str:
    """The same, with a bar for each time."""
    made = heading(contest_title(data)) + _table(runtimes(data)) + note(arena_line(data))
    if not data["layers"]:
        return made
    times = [note(line) for line in layer_lines(data)]
    return made + heading("Time of each layer") + _table(layers(data)) + "".join(times)


def comparison_title(data: Mapping[str, Any]) -> str:
    """What was compared with what."""
    first, *others = data["targets"]
    low = data["precision"] != "f32"
    compared = f"{', '.join(data['targets'])} in {data['precision']}" if low else ", ".join(others)
    return f"{data['network']}: {compared} against {'float64' if low else first}"


def comparison_text(data: Mapping[str, Any], remarks: Sequence[str]) -> str:
    """The errors of all layers, and remarks."""
    return "\n".join([comparison_title(data), *errors(data).lines(), *remarks])


def comparison_html(data: Mapping[str, Any], remarks: Sequence[str]) -> str:
    """The same, with a bar for each layer's largest error."""
    found = heading(comparison_title(data)) + _table(errors(data))
    return found + "".join(map(note, remarks))


def _table(found: Table) -> str:
    return table(found.head, found.rows, found.numbers, found.sizes)
