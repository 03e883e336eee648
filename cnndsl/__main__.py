"""`python -m cnndsl` is the command `cnndsl`."""

from cnndsl.cli.main import run

run()
