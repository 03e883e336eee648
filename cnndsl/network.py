"""Networks: typed graphs as they were written, read or built, before any pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from cnndsl import __version__
from cnndsl.analysis.cost import graph_cost
from cnndsl.diagnostics import CnnError, Diagnostic
from cnndsl.ir.graph import Graph
from cnndsl.ir.photo import Photo
from cnndsl.ir.types import TensorType
from cnndsl.language.elaborate import Elaborated
from cnndsl.notebook.rich import Measured, Rich
from cnndsl.recipes.recipe import Recipe
from cnndsl.runtime.module import Array
from cnndsl.runtime.photos import to_metadata

if TYPE_CHECKING:
    from cnndsl.notebook.frame import Framed
    from cnndsl.quantise.explicit import Explicit


@dataclass(frozen=True, eq=False)
class Network(Rich):
    """A network: its typed graph, before any pass, and the text that it was made from, if any.

    The graph may be edited; what is compiled is always the graph as it is. A network that was
    read from the model file `path` has `weights` by name, and the `codes` to which a quantised
    model rounds numbers.
    """

    graph: Graph
    source: Elaborated | None = None
    weights: Mapping[str, Array] | None = None
    path: str = ""
    codes: Explicit | None = None
    _written: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_written", _state(self.graph))

    @property
    def name(self) -> str:
        """The name of the network."""
        return self.graph.name

    @property
    def file(self) -> str:
        """The main file that it was made from; empty if there is none."""
        return self.source.unit.source.name if self.source else self.path

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is probably a mistake in its text, and dilated convolutions that skip positions.

        What comments in the text ignore is not among them.
        """
        from cnndsl.analysis.gridding import gridding
        from cnndsl.lint.selection import is_ignored

        found = (*(self.source.findings if self.source else ()), *gridding(self.graph))
        return tuple(warning for warning in found if not is_ignored(warning))

    @property
    def edited(self) -> bool:
        """Whether the graph is another than that of the text."""
        return self.source is None or _state(self.graph) != self._written

    @property
    def declared(self) -> Graph | None:
        """The graph for the declared input, if fully connected layers slide over a larger one."""
        return None if self.source is None or self.edited else self.source.declared

    @property
    def source_hash(self) -> str:
        """SHA-256 of all texts that the graph was made from, or else of the graph."""
        if self.source is not None and not self.edited:
            return self.source.unit.hash()
        from cnndsl.ir.serialise import to_json

        text = json.dumps(to_json(self.graph), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def params(self) -> int:
        """How many numbers are learned."""
        return graph_cost(self.graph).params

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one sample; None if they depend on an open size."""
        return graph_cost(self.graph).macs

    @property
    def inputs(self) -> dict[str, TensorType]:
        """The types of the inputs by name, without the batch axis."""
        return {name: self.graph[name].type for name in self.graph.inputs}

    @property
    def outputs(self) -> dict[str, TensorType]:
        """The types of the outputs by name, without the batch axis."""
        return {name: self.graph[node].type for name, node in self.graph.outputs.items()}

    @property
    def photos(self) -> dict[str, Photo]:
        """How photos become inputs, by the names of these, as far as the network tells.

        It says `photo(…)`, or normalises pixels itself, from 0 to 1 or to 255.
        """
        from cnndsl.analysis.photos import normalised

        return {**normalised(self.graph), **self.graph.photos}

    @property
    def recipe(self) -> Recipe | None:
        """How its text says that it is trained, if it does."""
        return self.source.recipe if self.source else None

    def arrays(
        self,
        weights: str | PathLike[str] | Mapping[str, Array] | None,
        weights_map: str | PathLike[str] | None = None,
    ) -> Mapping[str, Array] | None:
        """Weights from a file or by name, renamed by rules, or else those that it has.

        Raises CnnError as `cnndsl.weights.rename.read_weights` does, and E0402 for rules alone.
        """
        from cnndsl.weights.rename import read_weights

        if weights is not None:
            return read_weights(weights, weights_map)
        if weights_map is not None:
            from cnndsl.diagnostics import CnnError

            problem = f"{weights_map} renames weights, but no weights were given"
            raise CnnError.of("E0402", problem, hint="give --weights FILE")
        return self.weights

    def summary(self, depth: int = 2) -> str:
        """A table of the blocks down to a depth: shapes, parameters, MACs, activation bytes."""
        from cnndsl.analysis.summary import summary

        return summary(self.graph, depth)

    def page(self, times: Measured | None = None, errors: Measured | None = None) -> bytes:
        """The network as one HTML page, see docs/view.md; a graph without a text gets one.

        The same as `cnndsl view` writes. `times` and `errors` are results of `cnndsl.bench` and
        `cnndsl.compare`, shown layer by layer. Raises CnnError (E0603) for those of another
        network.
        """
        from cnndsl.page.data import page_data
        from cnndsl.page.html import page
        from cnndsl.page.text import with_text

        graph = with_text(self.graph) if self.edited else self.graph
        found = {"times": times, "errors": errors}
        measured = {kind: result.data() if result else None for kind, result in found.items()}
        return page(page_data(graph, **measured))

    def view(
        self, height: int = 700, times: Measured | None = None, errors: Measured | None = None
    ) -> Framed:
        """The page as an object that a notebook shows in a frame, `height` pixels high."""
        from cnndsl.notebook.frame import Framed

        return Framed(self.name, self.page(times, errors), height)

    def _repr_html_(self) -> str:
        """The table of the blocks and the graph, for notebooks."""
        from cnndsl.notebook.overview import overview

        return overview(self.graph)

    def _repr_text_(self) -> str:
        return self.summary()

    def open_graph(self, axes: Collection[str] = ("depth", "height", "width", "length")) -> Graph:
        """The graph with some axes of all inputs left open.

        The nodes and parameters have the same names in both. Training-only heads, many of which
        need a known size, are not in the open graph. Raises CnnError (E0617) if the network needs
        a known size, or is another one at other sizes; so is a graph that is edited or has no
        text, which alone tells what follows from a size.
        """
        from cnndsl.language.opening import open_graph
        from cnndsl.passes.pipeline import inference_graph

        if self.source is None or self.edited:
            raise CnnError.of("E0617", "no text tells what follows from the sizes of this graph")
        graph = open_graph(self.source, axes)
        declared, opened = inference_graph(self.graph), inference_graph(graph)
        if len(opened) != len(declared) or opened.parameters() != declared.parameters():
            raise CnnError.of("E0617", "the network is another one at other sizes")
        return graph

    def metadata(self, target: str) -> dict[str, str]:
        """What the artefacts of a target say of the network."""
        from cnndsl.analysis.ranking import forms_to_metadata, smaller_is_better

        distances = smaller_is_better(self.graph)
        return {
            "network": self.name,
            "version": __version__,
            "source_hash": self.source_hash,
            "target": target,
            "input_shapes": ",".join(f"{n}={self.graph[n].type}" for n in self.graph.inputs),
            "parameters": str(self.params),
            **({"smaller_is_better": ",".join(distances)} if distances else {}),
            **forms_to_metadata(self.graph),
            **to_metadata(self.photos),
        }

    def __repr__(self) -> str:
        place = f", {self.file}" if self.file else ""
        return f"Network({self.name!r}, {len(self.graph)} nodes{place})"


def _state(graph: Graph) -> Any:
    """What a graph computes, cheap to compare with an earlier state of the same graph."""
    nodes = {
        node.name: (node.parts, [dict(part.params) for part in node.parts])
        for node in graph.nodes()
    }
    edges = set(graph.nx.edges(keys=True))
    ends = (list(graph.inputs), dict(graph.photos), dict(graph.outputs), dict(graph.auxiliaries))
    return ends, nodes, edges
