"""Which array of a file is which parameter: by own names, rules of the zoo, or structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cnndsl.diagnostics import CnnError
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.weights.conversion.forms import Forms
from cnndsl.weights.conversion.layers import Shape, layers_of
from cnndsl.weights.conversion.maps import index, rules_of, zoo_maps
from cnndsl.weights.conversion.match import match

OWN_NAMES = "the network's own names"
STRUCTURE = "names, shapes and structure"


@dataclass(frozen=True)
class Pairing:
    """By the network's name, or the one that rules make, the file's; and what it was made by."""

    names: dict[str, str]
    by: str


def pair(shapes: Mapping[str, Shape], graph: Graph, source: str, network: str) -> Pairing:
    """The pairing of a file's arrays, given by name and shape, with the parameters of a network.

    It is made by the network's own names if all are there; by rules of the zoo, those of a named
    source first, if they name every parameter; or else by names, shapes and structure (`match`),
    with the names that rules explain as evidence. A source that has rules for a network of this
    name but not for these arrays gets them as they are.

    Raises CnnError: E0413 if a named source has no rules that explain any name, E0415 if several
    rules fit that differ, and the errors of `match`.
    """
    parameters, forms = graph.parameters(), Forms.of(graph)
    explained: list[tuple[Pairing, set[str]]] = []
    whole: list[Pairing] = []
    for candidate in _candidates(shapes, source, network):
        names = _explained(candidate, shapes, parameters, forms)
        explained.append((candidate, names))
        if len(names) == len(parameters):
            if candidate.by == OWN_NAMES or network in index().get(source, {}):
                return candidate
            whole.append(candidate)
    if whole and all(_agree(whole[0], other, parameters) for other in whole):
        return whole[0]
    if network in index().get(source, {}):
        return explained[0][0]
    best, names = max(explained, key=lambda item: len(item[1]))
    if source in index() and not names:
        raise CnnError.of(
            "E0413",
            f"no rules from {source} fit the network {network!r}",
            hint=f"there are rules for {', '.join(index()[source])}; --from auto needs none",
        )
    given = layers_of(shapes.items())
    known: dict[str, str] = {}
    if 2 * len(names) >= len(parameters):
        owners = {layer.array(role): layer.name for layer in given for role in layer.shapes}
        known = {owners[best.names[name]]: _layer(name) for name in names}
    layers = match(given, graph, known)
    found = {t.array(role): s.array(role) for s, t in layers for role in t.shapes}
    rest = sorted(shapes.keys() - set(found.values()) - found.keys())
    by = f"{best.by}; {STRUCTURE}" if known and best.by != OWN_NAMES else STRUCTURE
    return Pairing(found | {name: name for name in rest}, by)


def _candidates(shapes: Mapping[str, Shape], source: str, network: str) -> Iterator[Pairing]:
    """The names as they are, then as rules make them, the likeliest first."""
    names = {name: name for name in shapes}
    if source not in index():
        yield Pairing(names, OWN_NAMES)
    for files in zoo_maps(source, network):
        with suppress(CnnError):
            yield Pairing(rules_of(files).apply(names), _title(files))


def _title(files: Sequence[str]) -> str:
    return f"the rules {' and '.join(files)}"


def _explained(
    pairing: Pairing,
    shapes: Mapping[str, Shape],
    parameters: Mapping[str, Parameter],
    forms: Forms,
) -> set[str]:
    """The parameters that get an array of a form that they can take."""
    return {
        name
        for name in pairing.names.keys() & parameters.keys()
        if forms.fits(parameters[name], shapes[pairing.names[name]])
    }


def _agree(first: Pairing, second: Pairing, parameters: Mapping[str, Parameter]) -> bool:
    return all(first.names[name] == second.names[name] for name in parameters)


def _layer(name: str) -> str:
    return name.rpartition(".")[0]
