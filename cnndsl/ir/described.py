"""What is known of a network wherever it came from."""

from __future__ import annotations

from typing import Protocol

from cnndsl.ir.graph import Graph


class Described(Protocol):
    """A graph with where it came from; `cnndsl.Network` is one."""

    @property
    def name(self) -> str:
        """The name of the network."""

    @property
    def graph(self) -> Graph:
        """The typed graph, before any pass."""

    @property
    def declared(self) -> Graph | None:
        """The graph for the declared input, if fully connected layers slide over a larger one."""

    @property
    def source_hash(self) -> str:
        """SHA-256 of what the graph was made from."""
