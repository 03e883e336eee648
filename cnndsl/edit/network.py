"""A network with other layers in the place of some: its new source, graph and weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cnndsl.analysis.cost import node_costs, total
from cnndsl.api import parse
from cnndsl.artefacts import is_artefact, is_onnx
from cnndsl.diagnostics import CnnError, Diagnostic, Source, Span
from cnndsl.diagnostics.units import exact, si
from cnndsl.edit.factorise import Factorisation
from cnndsl.edit.sites import automatic_name, matching, site_of, span_of
from cnndsl.edit.weights import Heir, carry
from cnndsl.format.formatter import format_source
from cnndsl.ir.graph import Graph, Node
from cnndsl.language import tree as ast
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import choose_network, load_unit
from cnndsl.language.locate import locate
from cnndsl.language.units import Unit
from cnndsl.language.values import Settings, given_settings
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

    @property
    def warnings(self) -> list[Diagnostic]:
        """A warning (W0208) for each replaced convolution whose new layers are not cheaper."""
        before, after = node_costs(self.before), node_costs(self.after)
        found, replaced = [], self.replaced
        for heir in self.heirs:
            if heir.old.name not in replaced:
                continue
            old, new = before[heir.old.name], total(after[node.name] for node in heir.new)
            if new.params > old.params or (new.macs or 0) > (old.macs or 0):
                message = (
                    f"what replaces {heir.old.name} is not cheaper: parameters {exact(old.params)} "
                    f"-> {exact(new.params)}, multiply-adds {si(old.macs)} -> {si(new.macs)}"
                )
                hint = "a lower rank is cheaper" if heir.rank else None
                found.append(Diagnostic("W0208", message, span_of(heir.old), hint))
        return found

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
    settings: Mapping[str, Any] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Edited:
    """Replace convolutions of a network, each by the first edit whose pattern matches its path.

    The edited text is that of the network's whole file, to be written to `output`, where its
    imports are looked up. `between` is what stands between the new layers (`relu`, `bn -> relu`),
    except between low-rank factors. `settings` and `input_shapes` hold for the network before and
    after, as in `parse`; they are not written.

    Raises CnnError: E0621 for a convolution that cannot be replaced, E0622 for a pattern that
    matches none, and what `parse` raises.
    """
    tree = unit_of(spec).tree
    before = parse(spec, settings=settings, input_shapes=input_shapes).graph
    chosen: dict[str, Factorisation] = {}
    for pattern, edit in edits:
        for node in matching(before, pattern):
            chosen.setdefault(node.name, edit)
    made: dict[str, tuple[Factorisation, int]] = {}
    texts: dict[Span, str] = {}
    for span, nodes in _by_place(before, chosen).items():
        edit = chosen[nodes[0].name]
        site, step, part = site_of(tree, nodes)
        calls = edit.calls(site)
        gap = f" -> {between} -> " if between and edit.rank is None else " -> "
        texts[span] = gap.join(calls)
        if len(calls) > 1:
            texts[span] = _several(texts[span], automatic_name(nodes), step, part)
        made |= {node.name: (edit, len(calls)) for node in nodes}
    text = format_source(spliced(tree.source.text, texts), str(output))
    new = Source(str(output), text)
    after = graph_of(new, before.name, given_settings(settings or {}), input_shapes or {})
    return Edited(before.name, text, before, after, tuple(_heirs(before, after, made)))


def unit_of(spec: str) -> Unit:
    """The text that is edited, with what it imports. Raises CnnError, E0603 for what is no text."""
    if is_artefact(spec):
        hint = "`cnndsl import` makes a text of an ONNX model" if is_onnx(spec) else None
        raise CnnError.of("E0603", f"{spec} is no text; this command edits texts", hint=hint)
    return load_unit(locate(spec)[0])


def _by_place(graph: Graph, names: Collection[str]) -> dict[Span, list[Node]]:
    """The named nodes by the place where they are written."""
    places: dict[Span, list[Node]] = {}
    for node in graph.nodes():
        if node.name in names:
            places.setdefault(span_of(node), []).append(node)
    return places


def _several(chain: str, name: str | None, step: ast.Step, part: tuple[ast.Step, ...]) -> str:
    """The text of a step that has become several layers, which share its name.

    Where a label names the step with others, it has to go on naming them.
    """
    if step.label and len(part) == 1:
        return f"{{ {chain} }}"
    element = f"{name}: {{ {chain} }}" if name else chain
    if not part[0].label or not name:
        return element
    return f"{'identity -> ' if step.label else ''}{{ {element} }}"


def spliced(text: str, texts: Mapping[Span, str]) -> str:
    """A text with other texts in some places."""
    for span in sorted(texts, key=lambda span: span.start, reverse=True):
        text = text[: span.start] + texts[span] + text[span.end :]
    return text


def graph_of(
    source: Source, name: str, settings: Settings, input_shapes: Mapping[str, tuple[int, ...]]
) -> Graph:
    """The graph of a network of a text. Raises CnnError with all findings."""
    unit = load_unit(source)
    return elaborate(unit, choose_network(unit, name), settings, input_shapes).sound().graph


def _heirs(
    before: Graph, after: Graph, made: Mapping[str, tuple[Factorisation, int]]
) -> Iterator[Heir]:
    """The nodes in the place of each node; both graphs were built in the same order.

    Raises CnnError (E0621) if the value of a node has another type now.
    """
    calls = sum(count - 1 for _, count in made.values())
    gaps = sum(count - 1 for edit, count in made.values() if edit.rank is None)
    between, rest = divmod(len(after) - len(before) - calls, max(gaps, 1))
    if rest or between < 0 or (between and not gaps):
        raise CnnError.of("E0621", "what stands between the new layers differs from place to place")
    nodes = iter([after[name] for name in after.nx])
    for old in [before[name] for name in before.nx]:
        edit, count = made.get(old.name, (None, 1))
        rank = edit.rank if edit else None
        more = (count - 1) * (between if rank is None else 0)
        new = list(islice(nodes, count + more))
        if new[-1].type != old.type:
            message = f"{old.name} would become {new[-1].type}, it is {old.type}"
            hint = "do scoped defaults for conv or depthwise say something else?"
            raise CnnError([Diagnostic("E0621", message, span_of(old), hint)])
        yield Heir(old, new, rank)
