"""Layers of a file to layers of a network by order, kind and shape.

Layers of the same kind and shape are paired in their order. That is only sound where the order is
certain on both sides: in the network one layer must come after the other on a path, because the
order of parallel branches is a matter of taste; in a file whose names are sorted, the names must
differ by a number. Everything else is ambiguous and refused.

A normalisation straight behind a layer of as many channels is taken together with it, which tells
apart the normalisations of parallel branches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import TypeAlias

import networkx as nx

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import parameters_of
from cnndsl.ir.graph import Graph
from cnndsl.weights.conversion.layers import (
    Layer,
    Signature,
    differ_by_number,
    layers_of,
    sort_key,
)

Unit: TypeAlias = tuple[Layer, ...]
"""A layer, with the normalisation behind it if there is one."""
Key: TypeAlias = tuple[Signature, ...]
SHOWN = 10


@dataclass(frozen=True)
class _Pairing:
    pairs: list[tuple[Layer, Layer]]
    unequal: list[str]
    ambiguous: list[str]


def match(given: Sequence[Layer], graph: Graph) -> list[tuple[Layer, Layer]]:
    """Pairs of a file's layer and the graph's layer that takes its arrays.

    Layers of kinds that the graph does not have are left out. Raises CnnError: E0414 if the graph
    needs more or fewer layers of a kind than there are, E0415 if the order does not decide.
    """
    is_sorted = [layer.name for layer in given] == sorted(layer.name for layer in given)
    if is_sorted:
        given = sorted(given, key=lambda layer: sort_key(layer.name))
    needed = layers_of((name, p.shape) for name, p in graph.parameters().items())
    attempts = [
        _pair(combine(given), combine(needed), graph, is_sorted)
        for combine in (_with_normalisations, _alone)
    ]
    for attempt in attempts:
        if not attempt.unequal and not attempt.ambiguous:
            return attempt.pairs
    best = next((attempt for attempt in attempts if not attempt.unequal), attempts[-1])
    if best.unequal:
        raise CnnError.of(
            "E0414",
            "the layers of the file are not those of the network",
            hint="is it the same variant, with as many classes?",
            notes=_notes(best.unequal),
        )
    raise CnnError.of(
        "E0415",
        "several layers have the same shape, and the order does not tell which is which",
        hint="write rename rules for --weights-map, or name the framework: --from torchvision",
        notes=_notes(best.ambiguous),
    )


def _alone(layers: Iterable[Layer]) -> list[Unit]:
    return [(layer,) for layer in layers]


def _with_normalisations(layers: Iterable[Layer]) -> list[Unit]:
    units: list[Unit] = []
    for layer in layers:
        if units and layer.is_normalisation and _fits(layer, units[-1]):
            units[-1] = (*units[-1], layer)
        else:
            units.append((layer,))
    return units


def _fits(normalisation: Layer, unit: Unit) -> bool:
    weight = unit[-1].shapes.get("weight", ())
    return len(weight) > 1 and weight[:1] == normalisation.shapes["running_mean"]


def _pair(given: list[Unit], needed: list[Unit], graph: Graph, is_sorted: bool) -> _Pairing:
    found, wanted = _by_key(given), _by_key(needed)
    place = _first_nodes(graph)
    result = _Pairing([], [], [])
    for key, targets in wanted.items():
        sources = found.get(key, [])
        if len(sources) != len(targets):
            result.unequal.append(_difference(key, sources, targets))
            continue
        for a, b in pairwise(sources):
            if is_sorted and not differ_by_number(a[0].name, b[0].name):
                result.ambiguous.append(
                    f"the file's names are sorted: which of {a[0].name} and {b[0].name} is first?"
                )
        for a, b in pairwise(targets):
            if not nx.has_path(graph.nx, place[a[0].name], place[b[0].name]):
                names = f"{sources[0][0].name} to {sources[-1][0].name}"
                result.ambiguous.append(
                    f"{a[0].name} and {b[0].name} are in parallel branches and can both take the "
                    f"arrays of {names}"
                )
        for source, target in zip(sources, targets, strict=True):
            result.pairs.extend(zip(source, target, strict=True))
    return result


def _by_key(units: Iterable[Unit]) -> dict[Key, list[Unit]]:
    groups: dict[Key, list[Unit]] = {}
    for unit in units:
        groups.setdefault(tuple(layer.signature for layer in unit), []).append(unit)
    return groups


def _first_nodes(graph: Graph) -> dict[str, str]:
    """For each layer the first node that uses it."""
    found: dict[str, str] = {}
    for node in graph.nodes():
        for expression in node.params.values():
            for parameter in parameters_of(expression):
                found.setdefault(parameter.name.rpartition(".")[0], node.name)
    return found


def _difference(key: Key, sources: list[Unit], targets: list[Unit]) -> str:
    shapes = ", ".join(f"{role} {'x'.join(map(str, shape))}" for role, shape in key[0])
    extra = next(
        (f"; the network has {t[0].name}" if s is None else f"; the file has {s[0].name}")
        for s, t in zip_longest(sources, targets)
        if s is None or t is None
    )
    return f"{shapes}: the file has {len(sources)}, the network needs {len(targets)}{extra}"


def _notes(lines: list[str]) -> list[str]:
    rest = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + rest
