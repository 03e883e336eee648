"""What a pass is: a named rewrite of a graph that says what it did, and why not elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from cnndsl.ir.graph import Graph


@dataclass(frozen=True)
class Fate:
    """What became of one candidate: the node, and what was done or why nothing was."""

    node: str
    text: str


@dataclass
class Report:
    """The fates of all candidates of one run."""

    matched: list[Fate] = field(default_factory=list)
    rejected: list[Fate] = field(default_factory=list)


class Pass(Protocol):
    """A rewrite in place. `algebra` states it as an equation, e.g. `dropout(x) => x`."""

    @property
    def name(self) -> str:
        """The name for `--disable` and reports."""

    @property
    def algebra(self) -> str:
        """The rewrite as an equation."""

    def run(self, graph: Graph) -> Report:
        """Rewrite the graph."""
