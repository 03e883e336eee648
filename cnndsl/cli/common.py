"""Options that several verbs share, and the networks and modules that they name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cnndsl.cli import completion

if TYPE_CHECKING:
    from cnndsl.api import Network
    from cnndsl.runtime.module import Module

from cnndsl.cli.numbers import Seed
from cnndsl.cli.parameters import InputShape, Names, Setting
from cnndsl.cli.terminal import OUTPUT_FORMAT, show

Command = TypeVar("Command", bound=Callable[..., Any])


def output_format_option(command: Command) -> Command:
    """--output-format, for findings and errors."""
    return click.option(
        "--output-format",
        type=click.Choice(["text", "json", "github"]),
        help="How findings are written. [default: text]",
        expose_value=False,
        is_eager=True,
        callback=_remember_format,
    )(command)


def _remember_format(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[OUTPUT_FORMAT] = value


def network_options(command: Command) -> Command:
    """--set and --input-shape, and the format of errors."""
    command = output_format_option(command)
    command = click.option(
        "--input-shape",
        "input_shapes",
        type=InputShape(),
        shell_complete=completion.input_shapes,
        multiple=True,
        help="Replace an input's declared shape.",
    )(command)
    return click.option(
        "--set",
        "settings",
        type=Setting(),
        shell_complete=completion.settings,
        multiple=True,
        help="Give a parameter of the network another value.",
    )(command)


OF_THE_WHOLE = ("dynamic", "static", "logits")
"""Options that make another network, or leave its sizes open: for single kernels there are none."""


def target_option(command: Command) -> Command:
    """--target."""
    return click.option(
        "--target",
        default="onnx",
        show_default=True,
        shell_complete=completion.targets,
        help="What to compile to.",
    )(command)


def code_options(command: Command, *, without: Collection[str] = ()) -> Command:
    """The options of all targets: --batch, --mcpu, --arch and others, `without` some."""
    from cnndsl.runtime.backend import all_options, backends

    everyone = list(backends())
    for item, targets in reversed(all_options().values()):
        if item.metadata["help"] and item.name not in ("threads", *without):
            owners = [] if targets == everyone else targets
            command = _code_option(item, owners, _choices(item.name, targets))(command)
    return command


def _choices(name: str, targets: Sequence[str]) -> tuple[str, ...]:
    """The words that an option takes for one of the targets."""
    from cnndsl.runtime.backend import backend
    from cnndsl.runtime.options import user_fields

    fields = [f for t in targets for f in user_fields(backend(t).options) if f.name == name]
    return tuple(dict.fromkeys(word for item in fields for word in item.metadata["choices"]))


def _code_option(
    item: Field[Any], targets: Sequence[str], choices: tuple[str, ...]
) -> Callable[[Command], Command]:
    """The option of a field; None if it is not given, the default is that of the field."""
    default = item.default
    is_flag = isinstance(default, bool)
    if is_flag and not choices:
        note = f" [{', '.join(targets)}]" if targets else ""
        return click.option(
            f"--{item.name}", is_flag=True, default=None, help=item.metadata["help"] + note
        )
    if isinstance(default, tuple):
        kind: Any = Names(choices)
    elif choices:
        kind = click.Choice(choices)
    else:
        kind = str if isinstance(default, str) else click.IntRange(item.metadata["least"])
    shown = choices[not default] if is_flag else default
    notes = [", ".join(targets)] if targets else []
    notes += [] if shown in (None, (), "") else [f"default: {shown}"]
    return click.option(
        f"--{item.name}",
        type=kind,
        callback=(lambda _, __, value: value and value == choices[0]) if is_flag else None,
        help=" ".join([item.metadata["help"], *(f"[{note}]" for note in notes)]),
    )


def trust_option(command: Command) -> Command:
    """--trust."""
    return click.option(
        "--trust",
        metavar="KEY",
        multiple=True,
        shell_complete=completion.files,
        help="Open an artefact only if this public key, or another one, signed it.",
    )(command)


def threads_option(command: Command) -> Command:
    """--threads."""
    return click.option("--threads", type=click.IntRange(1), help="Threads to compute with.")(
        command
    )


def weights_options(command: Command) -> Command:
    """--weights, --weights-map, --seed and --threads."""
    command = threads_option(command)
    command = click.option("--seed", type=Seed(), help="Make missing weights from this seed.")(
        command
    )
    command = click.option(
        "--weights-map",
        metavar="FILE",
        shell_complete=completion.files,
        help="Rename rules for the weights.",
    )(command)
    return click.option(
        "--weights",
        metavar="FILE",
        shell_complete=completion.files,
        help="A .safetensors, .npz, .pt or .pth file.",
    )(command)


def random_weights(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with a seed if there are neither weights nor a seed among them."""
    lacking = options["weights"] is None and options["seed"] is None
    return {**options, "seed": 0} if lacking else dict(options)


def network_text(spec: str) -> str:
    """What stands for a network: the text on stdin for `-`, or else the spec itself.

    Raises CnnError as `cnndsl.language.sources.read_source` does.
    """
    if spec != "-":
        return spec
    from cnndsl.diagnostics import CnnError
    from cnndsl.language import limits

    try:
        text = sys.stdin.buffer.read(limits.FILE_BYTES + 1).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"stdin is not a text in UTF-8 (byte {error.start} is wrong)"
        raise CnnError.of("E0603", message) from None
    return text if text.endswith("\n") else f"{text}\n"


def load_network(
    spec: str,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
) -> Network:
    """The network that the user means; its warnings are shown."""
    from cnndsl.api import parse

    network = parse(network_text(spec), settings=dict(settings), input_shapes=dict(input_shapes))
    show(network.warnings)
    return network


def open_model(
    spec: str,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    network_options: Collection[str],
    threads: int | None = None,
    trust: Sequence[str] = (),
) -> Network | Module:
    """What the user means: the module of an artefact, or a network, its warnings shown.

    An ONNX model is a module, unless an option for networks is given. Raises UsageError if one
    is given with another artefact, or `trust` with a network.
    """
    from cnndsl.artefacts import is_artefact, is_onnx, load

    option = given_option({"settings", "input_shapes", *network_options})
    if not is_artefact(spec) or (option and is_onnx(spec)):
        if trust:
            raise click.UsageError(f"{spec} is read as a network; --trust is for artefacts")
        return load_network(spec, settings, input_shapes)
    if option:
        raise click.UsageError(f"{spec} is compiled; {option} is for networks")
    return load(spec, threads, trust=trust or None)


def given_option(names: Collection[str]) -> str | None:
    """An option on the command line that gives one of these parameters, if there is one."""
    context = click.get_current_context()
    for item in context.command.params:
        source = context.get_parameter_source(item.name or "")
        if item.name in names and source is click.core.ParameterSource.COMMANDLINE:
            return item.opts[0]
    return None
