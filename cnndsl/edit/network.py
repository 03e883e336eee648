"""A network with other layers in the place of some: its new source, graph and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnndsl.api import parse
from cnndsl.diagnostics import CnnError, Diagnostic, Severity, Source
from cnndsl.edit.factorise import Factorisation
from cnndsl.edit.sites import automatic_name, matching, site_of
from cnndsl.edit.weights import Heir, carry
from cnndsl.ir.graph import Graph, Node
from cnndsl.language.elaborator import Elaborator
from cnndsl.language.formatter import format_source
from cnndsl.language.loader import choose_network, load_unit
from cnndsl.language.sources import locate
from cnndsl.passes.pipeline import inference_graph
from cnndsl.runtime.module import Array
from cnndsl.weights.bind import bind


@dataclass(frozen=True, eq=False)
class Edited:
    """The new source text of a network's file, and the network before and after.

    `heirs` gives for each node of the old graph the nodes in its place.
    """

    name: str
    text: str
    before: Graph
    after: Graph
    heirs: tuple[Heir, ...]

    @property
    def replaced(self) -> dict[str, list[str]]:
        """The paths of the replaced convolutions, each with those in its place."""
        changed = [h for h in self.heirs if len(h.new) > 1 or h.old.op != h.new[0].op]
        return {heir.old.name: [node.name for node in heir.new] for heir in changed}

    def weights(self, arrays: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, float]]:
        """Arrays for the new network, and the relative error of each factorised kernel by path.

        What low rank replaces gets the best factors; other new layers get nothing. Raises
        CnnError if `arrays` do not fit the old network, or (E0621) if a rank is too large.
        """
        values = bind(self.before.parameters(), arrays, seed=None).values
        return carry(self.heirs, values)


def factorise(
    spec: str,
    edits: Sequence[tuple[str, Factorisation]],
    *,
    between: str | None = None,
    output: Path,
) -> Edited:
    """Replace convolutions of a network, each by the first edit whose pattern matches its path.

    The edited text is that of the network's whole file, to be written to `output`, where its
    imports are looked up. `between` is what stands between the new layers (`relu`, `bn -> relu`),
    except between low-rank factors. Raises CnnError: E0621 for a convolution that cannot be
    replaced, E0622 for a pattern that matches none or a part of those written in one place, and
    what `parse` raises.
    """
    before = parse(spec).graph
    tree = load_unit(locate(spec)[0]).tree
    chosen: dict[str, Factorisation] = {}
    for pattern, factorisation in edits:
        for node in matching(before, pattern):
            chosen.setdefault(node.name, factorisation)
    replacements, counts = [], {}
    for span, nodes in _by_place(before, chosen).items():
        factorisation = chosen[nodes[0].name]
        site, step = site_of(tree, nodes)
        calls = factorisation.calls(site)
        arrow = f" -> {between} -> " if between and factorisation.rank is None else " -> "
        label = None if step.label else automatic_name(nodes)
        replacements.append((span.start, span.end, _chain(calls, arrow, label, step.label is None)))
    text = _spliced(tree.source.text, replacements)
    formatted = format_source(text, str(output))
    after = _graph(formatted, before.name, output)
    heirs = _heirs(before, after, chosen)
    return Edited(before.name, formatted, before, after, heirs)
