"""What was imported as a text of the language, with its weights under the names of the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cnndsl.decompile import Decompiled, Modules, decompile, labelled
from cnndsl.importers.onnx.load import Imported
from cnndsl.ir.expressions import Parameter
from cnndsl.ir.graph import Graph
from cnndsl.quantise.calibration import structure_hash
from cnndsl.quantise.explicit import OUTPUT, Explicit, Rounding
from cnndsl.runtime.module import Array


@dataclass(frozen=True)
class Written:
    """A text, its graph, the weights by the names of its parameters, and where these come from.

    `origins` has the names of the model for the weights that are in it as they are here; `codes`
    are the roundings of a quantised model.
    """

    graph: Graph
    text: str
    weights: Mapping[str, Array]
    origins: Mapping[str, str]
    codes: Explicit | None = None

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
    plain = decompile(found.graph, name, nest=found.codes is None)
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
    codes = found.codes and _renamed(found.codes, found.graph, result, names)
    return Written(made, result.text, weights, origins, codes)


def _renamed(
    codes: Explicit, graph: Graph, result: Decompiled, weights: Mapping[str, str]
) -> Explicit:
    """Roundings by the names of the text, in which `weights` gives the old names of parameters."""
    outputs = zip(graph.outputs, result.graph.outputs, strict=True)
    readers = {**result.names, **{OUTPUT + old: OUTPUT + new for old, new in outputs}}

    def renamed(rounding: Rounding) -> Rounding:
        if rounding.readers is None:
            return rounding
        return replace(rounding, readers=tuple(readers[name] for name in rounding.readers))

    return Explicit(
        result.graph.name,
        structure_hash(result.graph),
        {result.names[name]: tuple(map(renamed, rows)) for name, rows in codes.tensors.items()},
        {new: codes.weights[old] for new, old in weights.items() if old in codes.weights},
    )
