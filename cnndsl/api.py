"""The public API: parse and check networks, compile them, load artefacts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnndsl.artefacts import is_artefact, is_onnx, load, sign
from cnndsl.diagnostics import CnnError, Diagnostic, Source
from cnndsl.language.elaborate import elaborate, raise_errors
from cnndsl.language.loader import choose_network, load_unit
from cnndsl.language.locate import locate
from cnndsl.language.sources import is_file, zoo
from cnndsl.language.values import given_settings, given_shapes
from cnndsl.lint.check import Check
from cnndsl.lint.lints import lint
from cnndsl.lint.selection import Selection
from cnndsl.network import Network
from cnndsl.runtime.options import Progress, silent

if TYPE_CHECKING:
    from cnndsl.quantise.calibration import Calibration
    from cnndsl.quantise.collect import Settings
    from cnndsl.quantise.precision import Codes
    from cnndsl.runtime.module import Array, Module
    from cnndsl.runtime.signature import Keys

__all__ = [
    "Network",
    "calibrate",
    "check",
    "compile",
    "gradients",
    "load",
    "load_onnx",
    "open_model",
    "parse",
    "sign",
    "zoo",
]


ROUNDS = "the model rounds numbers to codes of 8 bits, which --precision int8 does here"


def parse(
    spec: str | PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """A network from a path, `path:network`, the name of a zoo network, or source text.

    A path that ends in `.onnx` is that of an ONNX model, see `load_onnx`; it has no parameters.

    `settings` are values for the network's parameters; `input_shapes` replace the declared
    shapes (channels first, no batch). Where a fully connected layer meets a larger map than the
    declared one, it becomes a convolution with the same parameters, and the result a map. Raises
    CnnError with all findings.
    """
    shapes = given_shapes(input_shapes or {})
    if is_onnx(spec):
        if settings:
            message = f"an ONNX model has no parameter {', '.join(settings)}"
            raise CnnError.of("E0205", message, file=str(spec))
        return load_onnx(spec, input_shapes=shapes)
    source, name = _located(spec)
    unit = load_unit(source)
    raise_errors(unit.all_findings())
    given = given_settings(settings or {})
    found = elaborate(unit, choose_network(unit, name), given, shapes).sound()
    return Network(found.graph, found)


def load_onnx(
    path: str | PathLike[str],
    outputs: Sequence[str] | None = None,
    *,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Network:
    """The network of an ONNX model, with its weights.

    `outputs` names tensors of the model that become the outputs, in the place of its own;
    `input_shapes` replace the shapes of inputs (channels first, no batch). Raises CnnError with
    all that cannot be read.
    """
    from cnndsl.importers.onnx.load import load

    found = load(Path(path), outputs, given_shapes(input_shapes or {}))
    return Network(found.graph, weights=found.weights, path=str(path), codes=found.codes)


def check(
    spec: str | PathLike[str], *, select: Sequence[str] = ("W02",), ignore: Sequence[str] = ()
) -> list[Diagnostic]:
    """All findings about a file, or about one network of it, in the order of the text.

    `select` are the beginnings of the codes of warnings that are wanted, `ignore` of those that are
    not; the longer one counts. Lints are W03. Raises CnnError only if the file cannot be read.
    """
    selection = Selection(tuple(select), tuple(ignore))
    if is_onnx(spec):
        network = parse(spec)
        return selection.wanted([*network.warnings, *lint(network.graph, selection)])
    source, name = _located(spec)
    unit = load_unit(source)
    whole = Check(unit, selection)
    for _ in whole.steps(None if name is None else [choose_network(unit, name)]):
        pass
    return whole.findings()


def compile(
    net: Network | str | PathLike[str],
    target: str = "onnx",
    *,
    weights: str | PathLike[str] | Mapping[str, Array] | None = None,
    weights_map: str | PathLike[str] | None = None,
    seed: int | None = None,
    level: int = 2,
    disable: Collection[str] = (),
    calibration: Codes | str | PathLike[str] | None = None,
    keep_float: Sequence[str] = (),
    min_snr: float | None = None,
    **options: Any,
) -> Module:
    """A module that runs the network on a target.

    `weights` is a file (safetensors or a PyTorch state dict) or arrays by name, renamed by the
    rules of `weights_map`, by default those of the network; `seed` makes what they lack. `level`
    says how much is optimised, 0 to 3, without the passes that `disable` names. The precision int8
    needs a `calibration` (see `calibrate`), which quantised models have themselves; layers that
    `keep_float` names, or whose own signal-to-noise ratio is below `min_snr` dB, stay in float32.
    The other keywords, such as `batch` and `threads`, are options of the target, subclasses of
    `cnndsl.runtime.options.CompileOptions`; None stands for the default. Raises CnnError, and
    TypeError for a keyword that there is not. Warns (CnnWarning) of names in the weights that the
    network does not have, and of parameters that start from the seed although there are weights.
    """
    from cnndsl.analysis.ranking import forms_to_metadata
    from cnndsl.ir.sizes import require_static
    from cnndsl.passes.logits import with_logits
    from cnndsl.passes.pipeline import inference_graph
    from cnndsl.quantise.precision import in_precision, refuse_for_others
    from cnndsl.runtime.backend import Deciding, Limited, Trainable, backend, given_options
    from cnndsl.runtime.options import whole_number
    from cnndsl.weights.bind import bind, warn_of
    from cnndsl.weights.moments import starts

    _require_options(options)
    chosen = backend(target)
    asked = chosen.options(**given_options([target], options))
    seed = whole_number("seed", seed, 0)
    network = net if isinstance(net, Network) else parse(net)
    source = network.graph
    axes = getattr(asked, "dynamic", ())
    if set(axes) - {"batch"}:
        source = network.open_graph([axis for axis in axes if axis != "batch"])
    if getattr(asked, "static", False):
        require_static(source)
    plain = inference_graph(source)
    if asked.logits:
        source, plain = with_logits(source), with_logits(plain)
    asked, remark = chosen.decide(asked) if isinstance(chosen, Deciding) else (asked, None)
    precision = getattr(asked, "precision", "f32")
    trainable = isinstance(chosen, Trainable)
    if trainable:
        _require_as_written(target, level, disable)
        graph = source.copy()
    else:
        graph = in_precision(
            source,
            precision if precision in asked.in_graph else "f32",
            chosen.fusions,
            level=level,
            disable=disable,
            calibration=network.codes if calibration is None else calibration,
            keep_float=keep_float,
            min_snr=min_snr,
        )
    refuse_for_others(precision, calibration, keep_float, min_snr)
    if isinstance(chosen, Limited):
        chosen.check_size(graph)
    arrays = network.arrays(weights, weights_map)
    given = not trainable or arrays is not None or seed is not None
    bound = bind(
        (graph if trainable else plain).parameters(),
        arrays,
        seed=seed if given else 0,
        starts=None if arrays else starts(plain),
        unread=source.parameters(),
    )
    passes = [f"level={level}"] * (level != 2) + [f"disable={','.join(disable)}"] * bool(disable)
    changed = " ".join([*passes, *asked.changed])
    metadata = network.metadata(target) | ({"options": changed} if changed else {})
    if asked.logits:
        metadata |= forms_to_metadata(source)
    asked = replace(asked, metadata=metadata, source=plain)
    module = chosen.compile(graph, bound.values if given else {}, asked)
    module.warnings = bound.warnings
    module.origin = plain
    rounds = network.codes is not None and precision != "int8"
    module.remarks = tuple(filter(None, (remark, ROUNDS if rounds else None)))
    warn_of(bound)
    return module


def _require_as_written(target: str, level: int, disable: Collection[str]) -> None:
    if level != 2 or disable:
        message = f"the target {target} takes networks as they are written: no pass runs for it"
        raise CnnError.of("E0614", message, hint="leave out the level and what is disabled")


def calibrate(
    net: Network | str | PathLike[str],
    batches: Iterable[Mapping[str, Array]],
    *,
    weights: str | PathLike[str] | Mapping[str, Array] | None = None,
    weights_map: str | PathLike[str] | None = None,
    seed: int | None = None,
    disable: Collection[str] = (),
    samples: int = 0,
    settings: Settings | None = None,
    progress: Progress = silent,
) -> Calibration:
    """The ranges of all tensors of a network for arrays [batch, *shape] by input name.

    `weights`, `weights_map`, `seed` and `disable` as for `compile`; `samples` is how many there
    are, for `progress`. Raises CnnError, E0905 if there are none.
    """
    from cnndsl.passes.pipeline import inference_graph
    from cnndsl.quantise.collect import Settings
    from cnndsl.quantise.collect import calibrate as collect
    from cnndsl.quantise.prepare import prepare
    from cnndsl.weights.bind import bind
    from cnndsl.weights.moments import starts

    network = net if isinstance(net, Network) else parse(net)
    chosen = settings or Settings()
    plain = inference_graph(network.graph)
    graph = prepare(network.graph, chosen.level, disable)
    arrays = network.arrays(weights, weights_map)
    bound = bind(
        plain.parameters(),
        arrays,
        seed=seed,
        starts=None if arrays else starts(plain),
        unread=network.graph.parameters(),
    )
    return collect(graph, bound.values, batches, samples, chosen, progress)


def gradients(
    net: Network | str | PathLike[str],
    loss: str | None = "auto",
    *,
    by: Sequence[str] | None = None,
    training: bool = True,
    recompute: str | int | None = None,
    batch: int = 1,
) -> Network:
    """The network that computes the gradients of a loss, to be compiled like any other.

    Its outputs are `loss`, a vector of one number, and `NAME.gradient` for each learned parameter,
    of its shape: means over the batch, or sums where the loss is None. None of them has a batch
    axis. `by` names parameters and inputs instead, with `*` for any; gradients by inputs have one.
    What the loss does not depend on is left out.

    The loss is `cross_entropy` of scores or of a softmax, `mse`, or `map` (LeCun et al. 1998,
    equation 9) of distances; `auto` is `map` for distances and `cross_entropy` for others.
    Auxiliary outputs count with their weights. An input `target` is added, of the output's shape: 1
    for the right class, or probabilities. Outputs of different shapes have one each,
    `OUTPUT.target`.
    Without a loss there are inputs `OUTPUT.gradient` instead, the gradients of some loss.

    In `training` bn takes mean and variance of the batch, and masks are inputs of the names of
    their nodes and `.mask`: of dropout 0 or 1 / (1 - rate) for each element, of drop_path for each
    sample, of stochastic_depth 0 or 1. Without it all operators are what they are at inference.

    With `recompute`, normalised features and activations are not kept for the way back, but
    computed again from what convolutions and joins made: all of them if it is `auto`, or of the
    largest so many that the planned memory for a `batch` is at most as many bytes as it says.

    Raises CnnError (E0630) for open sizes, operators without a gradient, and too few bytes, (E0615)
    for a loss that does not fit, and names that there are not.
    """
    from cnndsl.autodiff.gradients import gradient_graph

    network = net if isinstance(net, Network) else parse(net)
    graph = gradient_graph(
        network.graph, loss, by, training=training, recompute=recompute, batch=batch
    )
    return Network(graph, weights=network.weights)


def _require_options(options: Mapping[str, Any]) -> None:
    from cnndsl.runtime.backend import all_options

    known = [*(compile.__kwdefaults__ or ()), *all_options()]
    for name in options:
        if name not in known:
            raise TypeError(f"compile() has no option {name!r}; there are: {', '.join(known)}")


def open_model(
    spec: str | PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    threads: int | None = None,
    trust: Keys | None = None,
) -> Network | Module:
    """What a user names: the module of an artefact, known by its ending, or else a network.

    `settings` and `input_shapes` are for networks, see `parse`; `threads` and `trust` for
    artefacts, see `load`. Raises CnnError.
    """
    if is_artefact(spec):
        return load(spec, threads, trust=trust)
    return parse(spec, settings=settings, input_shapes=input_shapes)


def _located(spec: str | PathLike[str]) -> tuple[Source, str | None]:
    """See `locate`. Raises CnnError for an artefact, too."""
    if is_artefact(spec) and is_file(Path(spec)):
        message = f"{spec} is a compiled module; this command takes a network"
        raise CnnError.of("E0603", message, file=str(spec))
    return locate(str(spec))
