"""The paths through a network: a view of `inspect`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnndsl.cli.common import print_json

if TYPE_CHECKING:
    from cnndsl.network import Network


def show_paths(network: Network, as_json: bool, form: str) -> None:
    """Print how many paths there are of each length."""
    from cnndsl.analysis.path_forms import FORMS
    from cnndsl.analysis.paths import paths

    found = paths(network.graph)
    sys.set_int_max_str_digits(0)  # counts are exact, whatever their size
    if as_json:
        print_json(found.as_dict())
    else:
        click.echo(FORMS[form](found, None), nl=False)
