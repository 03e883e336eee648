"""`cnndsl lsp`: the language server."""

from __future__ import annotations

from importlib.util import find_spec

import click

from cnndsl.cli.verb import Verb


@click.command("lsp", cls=Verb, examples=("lsp",))
@click.option("--stdio", is_flag=True, help="Speak on stdin and stdout, as it always does.")
def command(stdio: bool) -> int:
    """Serve editors: findings, hover, shapes, completion, names, formatting.

    Editors start it themselves; it speaks the language server protocol on stdin and stdout.
    """
    from cnndsl.diagnostics import CnnError

    if find_spec("pygls") is None:
        hint = "pip install 'cnndsl[lsp]'"
        raise CnnError.of("E0618", "the language server needs pygls", hint=hint)
    from cnndsl.editor.server import run

    run()
    return 0
