"""The public API: parse and check networks, compile them, load artefacts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnndsl import __version__
from cnndsl.diagnostics import CnnError, Diagnostic, Severity
from cnndsl.ir.graph import Graph
from cnndsl.language.checks import check_unit
from cnndsl.language.convolutional import Windows, declared_windows
from cnndsl.language.elaborator import Elaborator
from cnndsl.language.loader import choose_network, load_unit
from cnndsl.language.sources import locate, zoo
from cnndsl.language.units import NetworkItem, Unit, is_concrete
from cnndsl.language.values import Settings, given_settings

if TYPE_CHECKING:
    from cnndsl.runtime.module import Array, Module

__all__ = ["Network", "check", "compile", "load", "parse", "zoo"]


@dataclass(frozen=True, eq=False)
class Network:
    """A checked network: its typed graph, as written, before any pass.

    `source_hash` is the SHA-256 of all texts that it was made from; `file` the main one.
    `declared` is the graph for the declared input, if fully connected layers slide over a larger
    one.
    """

    name: str
    graph: Graph
    source_hash: str
    file: str
    warnings: tuple[Diagnostic, ...]
    declared: Graph | None = field(repr=False)
    _origin: _Origin = field(repr=False)

    def summary(self, depth: int = 2) -> str:
        """A table of the blocks down to a depth: shapes, parameters, MACs, activation bytes."""
        from cnndsl.analysis.summary import summary

        return summary(self.graph, depth)

    def open_graph(self, axes: Collection[str] = ("depth", "height", "width", "length")) -> Graph:
        """The graph with some axes of all inputs left open.

        The nodes and parameters have the same names in both. Training-only heads, many of which
        need a known size, are not in the open graph. Raises CnnError (E0617) if the network needs
        a known size, or is another one at other sizes.
        """
        from cnndsl.language.opening import Opened, open_graph
        from cnndsl.passes.pipeline import inference_graph

        origin = self._origin

        def elaborate(opened: Opened) -> Elaborator:
            elaborator = Elaborator(self.name, origin.shapes, origin.windows, opened=opened)
            elaborator.run(origin.unit, origin.item, origin.settings)
            return elaborator

        graph = open_graph(self.graph, axes, elaborate)
        declared, opened = inference_graph(self.graph), inference_graph(graph)
        if len(opened) != len(declared) or opened.parameters() != declared.parameters():
            raise CnnError.of("E0617", "the network is another one at other sizes")
        return graph

    def metadata(self, target: str) -> dict[str, str]:
        """What the artefacts of a target say of the network."""
        from cnndsl.analysis.ranking import smaller_is_better

        distances = smaller_is_better(self.graph)
        return {
            "network": self.name,
            "version": __version__,
            "source_hash": self.source_hash,
            "target": target,
            "input_shapes": ",".join(f"{n}={self.graph[n].type}" for n in self.graph.inputs),
            **({"smaller_is_better": ",".join(distances)} if distances else {}),
        }

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {len(self.graph)} nodes, {self.file})"


@dataclass(frozen=True, eq=False)
class _Origin:
    unit: Unit
    item: NetworkItem
    settings: Settings
    shapes: Mapping[str, tuple[int, ...]]
    windows: Windows


def parse(
    spec: str | PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """A network from a path, `path:network`, the name of a zoo network, or source text.

    `settings` are values for the network's parameters; `input_shapes` replace the declared
    shapes (channels first, no batch). Where a fully connected layer meets a larger map than the
    declared one, it becomes a convolution with the same parameters, and the result a map. Raises
    CnnError with all findings.
    """
    source, name = locate(str(spec))
    unit = load_unit(source)
    findings = _checked(unit)
    _raise_errors(findings)
    owner, item = choose_network(unit, name)
    given = given_settings(settings or {})
    declared = _declared_graph(owner, item, given) if input_shapes else None
    windows = declared_windows(declared) if declared else {}
    elaborator = Elaborator(item.name.text, input_shapes, windows)
    elaborator.run(owner, item, given)
    findings += [d for d in elaborator.diagnostics if d not in findings]
    _raise_errors(findings)
    if elaborator.input_shapes:
        unknown = ", ".join(elaborator.input_shapes)
        inputs = ", ".join(elaborator.graph.inputs)
        raise CnnError.of("E0604", f"no input {unknown}", hint=f"inputs: {inputs}")
    return Network(
        item.name.text,
        elaborator.graph,
        unit.hash(),
        source.name,
        tuple(findings),
        declared if elaborator.sliding else None,
        _Origin(
            owner,
            item,
            given,
            dict(input_shapes or {}),
            {name: windows[name] for name in elaborator.sliding},
        ),
    )


def check(spec: str | PathLike[str]) -> list[Diagnostic]:
    """All findings about a file, or about one network of it, in the order of the text.

    Raises CnnError only if the file cannot be read.
    """
    source, name = locate(str(spec))
    unit = load_unit(source)
    findings = _checked(unit)
    if name is not None:
        chosen = [choose_network(unit, name)]
    else:
        chosen = [(unit, item) for item in unit.own_networks() if is_concrete(item)]
    for owner, item in chosen:
        elaborator = Elaborator(item.name.text)
        elaborator.run(owner, item, {})
        known = {(d.code, d.span) for d in findings}
        findings += [d for d in elaborator.diagnostics if (d.code, d.span) not in known]
        if any(d.code == "E0503" for d in findings):
            break
    return sorted(findings, key=_place)


def compile(
    net: Network | str | PathLike[str],
    target: str = "onnx",
    *,
    weights: str | PathLike[str] | Mapping[str, Array] | None = None,
    weights_map: str | PathLike[str] | None = None,
    seed: int | None = None,
    level: int = 2,
    disable: Collection[str] = (),
    **options: Any,
) -> Module:
    """A module that runs the network on a target.

    `weights` is a file (safetensors or a PyTorch state dict) or arrays by name, renamed by the
    rules of `weights_map`; `seed` makes what they lack. `level` says how much is optimised, 0 to
    3, without the passes that `disable` names. The other keywords, such as `batch` and `threads`,
    are options of the target, subclasses of `cnndsl.runtime.options.CompileOptions`; None stands
    for the default. Raises CnnError, and TypeError for a keyword that there is not.
    """
    from cnndsl.passes.pipeline import inference_graph, optimise
    from cnndsl.runtime.backend import Limited, backend, given_options
    from cnndsl.runtime.options import whole_number
    from cnndsl.weights.bind import bind
    from cnndsl.weights.moments import starts
    from cnndsl.weights.rename import read_weights

    _require_options(options)
    chosen = backend(target)
    asked = chosen.options(**given_options([target], options))
    seed = whole_number("seed", seed, 0)
    network = net if isinstance(net, Network) else parse(net)
    source = network.graph
    axes = getattr(asked, "dynamic", ())
    if set(axes) - {"batch"}:
        source = network.open_graph([axis for axis in axes if axis != "batch"])
    plain = inference_graph(source)
    graph, _ = optimise(source, level, disable=disable, fusions=chosen.fusions)
    if isinstance(chosen, Limited):
        chosen.check_size(graph)
    arrays = read_weights(weights, weights_map)
    bound = bind(plain.parameters(), arrays, seed=seed, starts=None if arrays else starts(plain))
    asked = replace(asked, metadata=network.metadata(target), source=plain)
    module = chosen.compile(graph, bound.values, asked)
    module.warnings = bound.warnings
    return module


def _require_options(options: Mapping[str, Any]) -> None:
    from cnndsl.runtime.backend import all_options

    known = [*(compile.__kwdefaults__ or ()), *all_options()]
    for name in options:
        if name not in known:
            raise TypeError(f"compile() has no option {name!r}; there are: {', '.join(known)}")


def load(path: str | PathLike[str], threads: int | None = None) -> Module:
    """A module from an artefact that `Module.save` wrote. Raises CnnError."""
    from cnndsl.runtime.backend import backends
    from cnndsl.runtime.options import whole_number

    threads = whole_number("threads", threads, 1)
    file = Path(path)
    for candidate in backends().values():
        if file.suffix == candidate.suffix:
            if not file.is_file():
                raise CnnError.of("E0601", f"no file {file}")
            return candidate.load(file, threads)
    known = ", ".join(dict.fromkeys(candidate.suffix for candidate in backends().values()))
    raise CnnError.of("E0605", f"{file} is not an artefact by its name", hint=f"endings: {known}")


def _declared_graph(unit: Unit, item: NetworkItem, settings: Settings) -> Graph | None:
    """The graph for the declared input shapes, or None if that has errors."""
    elaborator = Elaborator(item.name.text)
    elaborator.run(unit, item, settings)
    failed = any(d.severity == Severity.ERROR for d in elaborator.diagnostics)
    return None if failed else elaborator.graph


def _checked(unit: Unit) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    for part in unit.all_units():
        findings += part.errors
        findings += [d for d in check_unit(part) if part is unit or d.severity == Severity.ERROR]
    return findings


def _raise_errors(findings: list[Diagnostic]) -> None:
    if any(d.severity == Severity.ERROR for d in findings):
        raise CnnError(sorted(findings, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.span
    return (span.source.name, span.start) if span else ("", 0)
