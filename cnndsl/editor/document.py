"""An open text with all that is known of it, each part found when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from cnndsl.analysis.cost import Cost, node_costs
from cnndsl.analysis.receptive_field import Fields, receptive_fields
from cnndsl.diagnostics import CnnError, Diagnostic, Source, Span
from cnndsl.editor.positions import Lines
from cnndsl.ir.graph import Node
from cnndsl.language import tree as ast
from cnndsl.language.elaborate import Elaborated
from cnndsl.language.loader import load_unit, sought
from cnndsl.language.sources import DISK, Files
from cnndsl.language.units import Unit
from cnndsl.language.walk import Passage
from cnndsl.lint.check import Check
from cnndsl.lint.selection import Selection


class Document:
    """One text under the path of its file.

    `files` has the texts that are imported, `selection` the wanted warnings. `earlier` is the same
    document before its last change; what cannot be parsed now is looked up there.
    """

    def __init__(
        self,
        name: str,
        text: str,
        *,
        files: Files = DISK,
        encoding: str = "utf-16",
        selection: Selection | None = None,
        earlier: Document | None = None,
    ) -> None:
        self.given = Source(name, text)
        self.files = files
        self.selection = selection
        self.lines = Lines(text, encoding)
        self.refused: tuple[Diagnostic, ...] = ()
        self.outline_before = earlier.definitions if earlier else {}
        self._costs: dict[str, dict[str, Cost]] = {}
        self._fields: dict[str, dict[str, Fields]] = {}
        self._check: Check | None = None
        self._steps: Iterator[None] | None = None

    @cached_property
    def unit(self) -> Unit:
        """The text with its imports; an empty one if it is refused as a whole."""
        try:
            return load_unit(self.given, self.files)
        except CnnError as error:
            self.refused = error.diagnostics
            empty = Source(self.given.name, "")
            return Unit(empty, ast.File(Span(empty, 0, 0), empty, ()), [])

    @property
    def source(self) -> Source:
        """The source that spans of this text refer to."""
        return self.unit.source

    @property
    def text(self) -> str:
        """The text."""
        return self.given.text

    @cached_property
    def sought(self) -> set[Path]:
        """Where files are looked for that the text imports, and those that they import."""
        return sought(self.unit)

    @cached_property
    def definitions(self) -> dict[str, ast.Definition]:
        """Blocks and networks by name; those that cannot be parsed now, as they were before."""
        items = [item for item in self.unit.tree.items if isinstance(item, ast.Definition)]
        known = {item.name.text: item for item in items}
        lost = {n: item for n, item in self.outline_before.items() if n in self.unit.missing}
        return {**lost, **known}

    def steps(self) -> Iterator[None]:
        """Build the networks of the text that are not built yet, one in each step."""
        if self._check is None:
            self._check = Check(self.unit, self.selection)
            self._steps = self._check.steps()
        assert self._steps is not None
        for _ in self._steps:  # the steps outlive whoever asks for them
            yield

    @property
    def elaborated(self) -> dict[str, Elaborated]:
        """The networks of the text, built."""
        for _ in self.steps():
            pass
        assert self._check is not None
        return self._check.elaborated

    def findings(self) -> list[Diagnostic]:
        """All findings, as `cnndsl check` has them."""
        for _ in self.steps():
            pass
        assert self._check is not None
        return [*self.refused, *self._check.findings()]

    @cached_property
    def passages(self) -> dict[tuple[int, int], list[tuple[Elaborated, Passage]]]:
        """What went through each step of this text, in all its networks, by start and end."""
        found: dict[tuple[int, int], list[tuple[Elaborated, Passage]]] = {}
        for network in self.elaborated.values():
            for span, passages in network.passages.items():
                if span.source is self.source:
                    through = found.setdefault((span.start, span.end), [])
                    through += [(network, passage) for passage in passages]
        return found

    @cached_property
    def nodes(self) -> dict[tuple[int, int], list[tuple[Elaborated, Node]]]:
        """The nodes of all networks that stand at a place of this text."""
        found: dict[tuple[int, int], list[tuple[Elaborated, Node]]] = {}
        for network in self.elaborated.values():
            for name in network.graph.nx:
                node = network.graph[name]
                for span in node.spans:
                    if span.source is self.source:
                        found.setdefault((span.start, span.end), []).append((network, node))
        return found

    def instances(self, block: ast.Definition) -> Iterator[tuple[Elaborated, str]]:
        """The paths of all instances of a block in the networks of this text."""
        for network in self.elaborated.values():
            for path, called in network.calls.items():
                if called.block.definition is block:
                    yield network, path

    def calls(self, span: Span) -> Iterator[tuple[Elaborated, str]]:
        """The paths of the instances of a block that a call makes."""
        for network in self.elaborated.values():
            for path, called in network.calls.items():
                if called.span == span:
                    yield network, path

    def costs(self, network: Elaborated) -> dict[str, Cost]:
        """The cost of each node of a network of this text."""
        name = network.graph.name
        if name not in self._costs:
            self._costs[name] = node_costs(network.graph)
        return self._costs[name]

    def fields(self, network: Elaborated) -> dict[str, Fields]:
        """The receptive field of each node of a network of this text."""
        name = network.graph.name
        if name not in self._fields:
            self._fields[name] = receptive_fields(network.graph)
        return self._fields[name]
