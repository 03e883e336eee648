"""The command `cnndsl`, also as `python -m cnndsl`. What it needs is imported when it runs."""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130


def run() -> None:
    """Run the command line of this process; an interrupt ends it quietly, whenever it comes."""
    try:
        open_streams()
        from cnndsl.cli.main import run as run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def open_streams() -> None:
    """Let the null device stand for standard streams that are closed.

    Else the next file that is opened takes the place of one, and gets what is written to it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    run()
