"""The entry point: finds the verb, shows errors, and sets the exit code.

Exit codes: 0 fine, 1 findings in a network, 2 a wrong call or an unreadable file, 101 an
internal error, 130 interrupted, 141 the reader of the output is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from cnndsl import __version__
from cnndsl.cli.terminal import show_error

VERBS = (
    "check",
    "import",
    "calibrate",
    "compile",
    "sign",
    "train",
    "run",
    "evaluate",
    "bench",
    "compare",
    "tune",
    "inspect",
    "diff",
    "draw",
    "view",
    "edit",
    "fmt",
    "lsp",
    "list",
    "explain",
    "weights",
    "cache",
)

FINDINGS, USAGE, INTERNAL, INTERRUPTED, BROKEN_PIPE = 1, 2, 101, 130, 141


class Verbs(click.Group):
    """Imports a verb's module when the verb is called, and turns CnnError into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command that the verb's module defines."""
        if cmd_name not in VERBS:
            return None
        module = "import_model" if cmd_name == "import" else cmd_name
        command: click.Command = import_module(f"cnndsl.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb, or an error with the nearest ones."""
        if args[0] not in VERBS and not ctx.resilient_parsing:
            from cnndsl.diagnostics.spelling import did_you_mean

            if hint := did_you_mean(args[0], VERBS):
                ctx.fail(f"No such command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; returns its exit code."""
        from cnndsl.diagnostics import CnnError, CnnWarning

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CnnWarning)  # verbs show them as findings
                return super().invoke(ctx)
        except CnnError as error:
            show_error(error)
            return USAGE if error.usage else FINDINGS
        except MemoryError as error:
            show_error(CnnError.of("E0711", str(error) or "not enough memory"))
            return USAGE
        except BrokenPipeError:
            _give_up_output()
            return BROKEN_PIPE
        except OSError as error:
            show_error(CnnError.of("E0616", _refusal(error)))
            return USAGE


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="cnndsl")
def commands() -> None:
    """A graph compiler for convolutional networks.

    A network is a file (resnet50.cnn), a file and a name (resnet.cnn:resnet101), or a name of
    the zoo (resnet101). Results go to stdout, everything else to stderr.
    """


def main(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code."""
    try:
        return _call(arguments)
    except OSError as error:  # stdout or stderr cannot be written
        _give_up_output()
        with suppress(OSError):
            click.echo(f"error: {_refusal(error)}", err=True)
        return USAGE


def _call(arguments: Sequence[str]) -> int:
    try:
        code = commands.main(list(arguments), prog_name="cnndsl", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return USAGE
    except click.Abort:
        return INTERRUPTED
    except OSError:
        raise
    except Exception as error:
        summary = " ".join(str(error).split())
        click.echo(
            f"internal error: {type(error).__name__}: {summary} - please report this "
            "(CNNDSL_DEBUG=1 shows where)",
            err=True,
        )
        if os.environ.get("CNNDSL_DEBUG"):
            traceback.print_exc()
        return INTERNAL


def _refusal(error: OSError) -> str:
    """What the system says, and of which file."""
    try:
        os.getcwd()
    except OSError:
        return "the working folder is gone, or may not be entered"
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason


def _give_up_output() -> None:
    """Let nothing that is still to be written to stdout fail again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> None:
    """The `cnndsl` command. It removes its temporary files when it is told to end."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
