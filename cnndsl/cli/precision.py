"""The options of low precision that several verbs share."""

from __future__ import annotations

import click

from cnndsl.cli import completion
from cnndsl.cli.common import Command
from cnndsl.cli.numbers import Finite
from cnndsl.cli.parameters import Names


def calibration_options(command: Command) -> Command:
    """--calibration, --keep-float and --min-snr."""
    command = click.option(
        "--min-snr",
        type=Finite(),
        metavar="DB",
        help="int8: layers below this signal-to-noise ratio by themselves stay float.",
    )(command)
    command = click.option(
        "--keep-float",
        type=Names(),
        default=(),
        metavar="A,B,...",
        help="int8: layers, blocks and patterns that stay float.",
    )(command)
    return click.option(
        "--calibration",
        metavar="FILE",
        shell_complete=completion.files,
        help="int8: what `cnndsl calibrate` has measured.",
    )(command)
