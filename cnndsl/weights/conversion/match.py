"""Layers of a file to layers of a network by name, kind, shape and place, never by order alone.

A layer takes the arrays of the layer with its own name, if that has the same kind and shapes. Of
the rest, layers of one kind and shapes are told apart by the modules that they stand in: by the
kinds and shapes of all layers there. Where several are left, numbers in the file's names give their
order, if nothing speaks against it: all names differ at a number, the file has the layers in that
order (or sorted by name), layers with other numbers that are certain stand in the same order, and
in the network one comes after the other on a path, because the order of parallel branches is a
matter of taste. Everything else is ambiguous and refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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

Module: TypeAlias = tuple[Signature, ...]
"""What all layers of a module are, sorted."""
LEVELS = 3
"""How many last parts a name can lose to be that of a module."""
SINGLE_SLOPE = {"weight": (1,)}
"""The shapes of a PReLU with one slope for all channels."""
SHOWN = 10


@dataclass(frozen=True)
class _Pairing:
    pairs: list[tuple[Layer, Layer]]
    unequal: list[str]
    ambiguous: list[str]


def match(given: Sequence[Layer], graph: Graph) -> list[tuple[Layer, Layer]]:
    """Pairs of a file's layer and the graph's layer that takes its arrays.

    Layers of kinds that the graph does not have are left out. Raises CnnError: E0414 if the graph
    needs more or fewer layers of a kind than there are, E0415 if it is not certain which is which.
    """
    found = _Matcher(given, graph).pair()
    if found.unequal:
        raise CnnError.of(
            "E0414",
            "the layers of the file are not those of the network",
            hint="is it the same variant, with as many classes?",
            notes=_notes(found.unequal),
        )
    if found.ambiguous:
        raise CnnError.of(
            "E0415",
            "several layers have the same shape, and their names do not tell which is which",
            hint="write rename rules for --weights-map, or name the framework: --from torchvision",
            notes=_notes(found.ambiguous),
        )
    return found.pairs


class _Matcher:
    """A file's layers, and a network's."""

    def __init__(self, given: Sequence[Layer], graph: Graph):
        self._given = given
        single = any(layer.shapes == SINGLE_SLOPE for layer in given)
        self._needed = layers_of(
            (name, (1,) if single and p.init == "prelu" else p.shape)
            for name, p in graph.parameters().items()
        )
        self._modules = (_modules(given), _modules(self._needed))
        self._is_sorted = [layer.name for layer in given] == sorted(layer.name for layer in given)
        self._place = {layer.name: index for index, layer in enumerate(given)}
        self._graph, self._nodes = graph, _first_nodes(graph)

    def pair(self) -> _Pairing:
        """Pairs of all layers, and what speaks against them."""
        named = {layer.name: layer for layer in self._given}
        certain = [
            (named[target.name], target)
            for target in self._needed
            if target.name in named and named[target.name].signature == target.signature
        ]
        known = {target.name for _, target in certain}
        found = _by_signature(layer for layer in self._given if layer.name not in known)
        wanted = _by_signature(layer for layer in self._needed if layer.name not in known)
        result = _Pairing(certain, [], [])
        is_certain = True
        for signature, targets in wanted.items():
            sources = found.get(signature, [])
            if len(sources) != len(targets):
                result.unequal.append(_difference(signature, sources, targets))
                continue
            for group in self._by_module(sources, targets):
                is_certain = is_certain and len(group[0]) == 1
                ordered = sorted(group[0], key=lambda layer: sort_key(layer.name))
                result.ambiguous.extend(self._doubts(ordered, group[1]))
                result.pairs.extend(zip(ordered, group[1], strict=True))
        if not is_certain and not result.ambiguous:
            result.ambiguous.extend(self._contradictions(result.pairs))
        return result

    def _by_module(
        self, sources: list[Layer], targets: list[Layer], level: int = 0
    ) -> Iterator[tuple[list[Layer], list[Layer]]]:
        """Groups of layers that can take each other's arrays, as small as modules make them.

        A module of a single layer tells nothing.
        """
        if level == LEVELS or len(sources) == 1:
            yield sources, targets
            return
        inside, wanted = (
            _grouped(layers, modules[level])
            for layers, modules in zip((sources, targets), self._modules, strict=True)
        )
        shared = [
            kind
            for kind in wanted
            if len(kind) > 1 and len(inside.get(kind, ())) == len(wanted[kind])
        ]
        rest = [
            [layer for kind, layers in groups.items() if kind not in shared for layer in layers]
            for groups in (inside, wanted)
        ]
        for kind in shared:
            yield from self._by_module(inside[kind], wanted[kind], level + 1)
        if rest[0]:
            yield from self._by_module(rest[0], rest[1], level + 1)

    def _doubts(self, sources: list[Layer], targets: list[Layer]) -> Iterator[str]:
        """Why the order of sources by their numbers is not certain, or not that of the targets."""
        for a, b in pairwise([layer.name for layer in sources]):
            if not differ_by_number(a, b):
                yield f"{a} and {b} can both be {targets[0].name} or {targets[1].name}"
            elif not self._is_sorted and self._place[a] > self._place[b]:
                yield f"{b} stands before {a} in the file: which of them is first?"
        names = f"{sources[0].name} to {sources[-1].name}"
        for a, b in pairwise([layer.name for layer in targets]):
            if not self._is_before(a, b):
                yield f"{a} and {b} are in parallel branches and can both take {names}"

    def _contradictions(self, pairs: Iterable[tuple[Layer, Layer]]) -> Iterator[str]:
        """Layers whose numbers do not follow the order of the network."""
        ordered = sorted(pairs, key=lambda pair: sort_key(pair[0].name))
        for (a, first), (b, second) in pairwise(ordered):
            if (
                differ_by_number(a.name, b.name)
                and self._nodes[first.name] != self._nodes[second.name]
                and self._is_before(second.name, first.name)
            ):
                yield f"the numbers of {a.name} and {b.name} are not the order of the network"

    def _is_before(self, first: str, second: str) -> bool:
        return bool(nx.has_path(self._graph.nx, self._nodes[first], self._nodes[second]))


def _modules(layers: Sequence[Layer]) -> list[dict[str, Module]]:
    """For each level by the layer's name what its module is.

    A module is what shares all of a name but the last parts, one more of them at each level.
    """
    found = []
    for level in range(1, LEVELS + 1):
        modules = {layer.name: layer.name.split(".")[:-level] for layer in layers}
        contents: dict[str, list[Signature]] = {}
        for layer in layers:
            contents.setdefault(".".join(modules[layer.name]), []).append(layer.signature)
        kinds = {module: tuple(sorted(content)) for module, content in contents.items()}
        found.append({name: kinds[".".join(module)] for name, module in modules.items()})
    return found


def _grouped(layers: Iterable[Layer], modules: Mapping[str, Module]) -> dict[Module, list[Layer]]:
    groups: dict[Module, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(modules[layer.name], []).append(layer)
    return groups


def _by_signature(layers: Iterable[Layer]) -> dict[Signature, list[Layer]]:
    groups: dict[Signature, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.signature, []).append(layer)
    return groups


def _first_nodes(graph: Graph) -> dict[str, str]:
    """For each layer the first node that uses it."""
    found: dict[str, str] = {}
    for node in graph.nodes():
        for expression in node.params.values():
            for parameter in parameters_of(expression):
                found.setdefault(parameter.name.rpartition(".")[0], node.name)
    return found


def _difference(signature: Signature, sources: list[Layer], targets: list[Layer]) -> str:
    shapes = ", ".join(f"{role} {'x'.join(map(str, shape))}" for role, shape in signature)
    extra = next(
        (f"; the network has {t.name}" if s is None else f"; the file has {s.name}")
        for s, t in zip_longest(sources, targets)
        if s is None or t is None
    )
    return f"{shapes}: the file has {len(sources)}, the network needs {len(targets)}{extra}"


def _notes(lines: list[str]) -> list[str]:
    rest = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + rest
