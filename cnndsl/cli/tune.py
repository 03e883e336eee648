"""`cnndsl tune`: kernels chosen by measurement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cnndsl.cli import completion
from cnndsl.cli.common import (
    OF_THE_WHOLE,
    code_options,
    load_network,
    network_options,
    threads_option,
)
from cnndsl.cli.passes import level_options
from cnndsl.cli.terminal import print_json, print_table, progress_bar
from cnndsl.cli.verb import Verb
from cnndsl.runtime.options import VARIANTS

if TYPE_CHECKING:
    from cnndsl.runtime.tuning import Tuned


@click.command(
    "tune",
    cls=Verb,
    examples=("tune resnet50 --threads 2",),
)
@click.argument("network", shell_complete=completion.networks)
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
@click.option(
    "--tune",
    "count",
    type=click.IntRange(2),
    default=VARIANTS,
    show_default=True,
    help="Variants of each kernel to time at most.",
)
@partial(code_options, without=("tune", *OF_THE_WHOLE))
@level_options
@click.option(
    "--target",
    default="cpu",
    show_default=True,
    help="What to tune for: cpu or cuda.",
    shell_complete=completion.targets,
)
@threads_option
@network_options
def command(
    network: str,
    as_json: bool,
    count: int,
    settings: Sequence[tuple[str, Any]],
    input_shapes: Sequence[tuple[str, tuple[int, ...]]],
    target: str,
    level: int,
    disable: Collection[str],
    **options: Any,
) -> int:
    """Time variants of a network's kernels on this machine; compilations take the fastest.

    For the target cuda this needs a GPU; without one the variants are compiled, and kept.
    """
    from cnndsl.passes.pipeline import optimise
    from cnndsl.runtime.backend import backend, given_options
    from cnndsl.runtime.tuning import Tuner

    chosen = backend(target)
    if not isinstance(chosen, Tuner):
        raise click.UsageError(
            f"the target {target} has no variants to choose from; cpu and cuda have"
        )
    asked = chosen.options(**{**given_options([target], options), "tune": count})
    parsed = load_network(network, settings, input_shapes)
    graph, _ = optimise(parsed.graph, level, disable=disable, fusions=chosen.fusions)
    with progress_bar() as progress:
        rows = chosen.tune(graph, asked, progress)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        _print(rows)
    return 0


def _print(rows: Sequence[Tuned]) -> None:
    head = ["node", "launches", "variants", "default", "us", "fastest", "us", "ratio"]
    table = [
        [
            row.node,
            str(row.launches),
            str(row.variants),
            row.default,
            f"{row.default_seconds * 1e6:.2f}",
            row.fastest,
            f"{row.fastest_seconds * 1e6:.2f}",
            f"{row.default_seconds / row.fastest_seconds:.2f}",
        ]
        for row in rows
    ]
    print_table([head, *table], numbers=(1, 2, 4, 6, 7))
    before = sum(row.launches * row.default_seconds for row in rows)
    after = sum(row.launches * row.fastest_seconds for row in rows)
    click.echo(f"{len(rows)} kernels, {before * 1e3:.3f} ms before, {after * 1e3:.3f} ms now")
