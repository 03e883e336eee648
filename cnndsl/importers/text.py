"""What was imported as a text of the language, with its weights under the names of the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.decompile import Modules, decompile, labelled
from cnndsl.importers.onnx.load import Imported
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.runtime.module import Array


@dataclass(frozen=True)
class Written:
    """A text, its graph, the weights by the names of its parameters, and where these come from.

    `origins` has the names of the model for the weights that are in it as they are here.
    """

    graph: Graph
    text: str
    weights: Mapping[str, Array]
    origins: Mapping[str, str]

    def rules(self) -> str:
        """Rename rules from the names of the model, for other weights of the same network."""
        lines = [
            f"{origin} -> {name}\n"
            for name, origin in self.origins.items()
            if origin != name and not set(origin) & set("*{}# \t")
        ]
        return "".join(lines)


def written(found: Imported) -> Written:
    """The text of an imported graph. Raises CnnError beyond the limits of the language."""
    name = found.graph.name
    plain = decompile(found.graph, name)
    result = labelled(plain, name, Modules(found.paths, found.classes))
    made = result.graph
    names: dict[str, str] = {}
    for node in found.graph.nodes():
        other = made[result.names[node.name]]
        for role, parameter in node.params.items():
            target = other.params[role]
            if isinstance(parameter, Parameter) and isinstance(target, Parameter):
                names[target.name] = parameter.name
    weights = {new: found.weights[old] for new, old in names.items()}
    origins = {new: found.origins[old] for new, old in names.items() if old in found.origins}
    return Written(made, result.text, weights, origins)
