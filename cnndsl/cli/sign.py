"""`cnndsl sign`: signatures of files."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cnndsl.cli import completion
from cnndsl.cli.common import output_format_option
from cnndsl.cli.verb import Verb


@click.command(
    "sign",
    cls=Verb,
    examples=(
        "sign resnet50.cnnmod --key key.pem",
        "sign resnet50/libresnet50.so resnet50/resnet50.weights --key key.pem",
    ),
)
@click.argument("files", nargs=-1, required=True, shell_complete=completion.files)
@click.option(
    "--key", metavar="KEY", required=True, shell_complete=completion.files, help="A private key."
)
@output_format_option
def command(files: Sequence[str], key: str) -> int:
    """Sign files by an Ed25519 key: FILE.sig is written beside each.

    A pair of keys is made by `openssl genpkey -algorithm ed25519 -out key.pem` and
    `openssl pkey -in key.pem -pubout -out public.pem`; who loads the files trusts the public one.
    """
    from pathlib import Path

    from cnndsl.cli.outputs import check_output
    from cnndsl.runtime.files import check_regular
    from cnndsl.runtime.signature import SigningKey, signature_path

    signing = SigningKey(key)
    for file in map(Path, files):
        check_output(signature_path(file), [key, *files])
        check_regular(file)
    for file in map(Path, files):
        click.echo(signing.sign(file))
    return 0
