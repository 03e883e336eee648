"""Every network of the zoo as an ONNX model, and back: is it the same, and how long is its text?

    python -m benchmarks.onnx_import [NETWORK ...] [--json FILE]

Each network is exported, imported, written as a text, read again from the text, and compiled with
the weights of the model. The outputs of onnxruntime on the model and on what became of it are
compared, relative to the largest. Also told: nodes of the model, lines of the text, those of the
zoo's definitions that the network is made of, neither counting blank ones and comments, and the
seconds of processor time that importing and writing took.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx

import cnndsl
from cnndsl.importers.onnx.load import load
from cnndsl.importers.text import written
from cnndsl.language import tree as ast
from cnndsl.language.loader import concrete_networks
from cnndsl.network import Network
from cnndsl.runtime.module import Array

LONG = 1.5
"""A text of more lines than so many times the zoo's is long."""
OPEN_SIZE = 64
"""Stands for a size that is open."""


@dataclass(frozen=True)
class Row:
    """What became of one network."""

    network: str
    nodes: int
    lines: int
    zoo_lines: int
    import_seconds: float
    text_seconds: float
    error: float


def round_trip(name: str) -> Row:
    """Export a network, import it, and compare. Raises CnnError where that fails."""
    net = cnndsl.parse(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        model = cnndsl.compile(net, "onnx", seed=0)
        model.save(path)
        start = time.process_time()
        found = load(path)
        imported = time.process_time()
        made = written(found)
        done = time.process_time()
        nodes = len(onnx.load(path, load_external_data=False).graph.node)
    again = cnndsl.parse(made.text)
    inputs = _inputs(net)
    wanted = model.run(inputs)
    actual = cnndsl.compile(again, "onnx", weights=made.weights).run(
        dict(zip(again.inputs, inputs.values(), strict=True))
    )
    errors = [
        float(np.abs(a.reshape(-1) - b.reshape(-1)).max() / max(np.abs(a).max(), 1e-30))
        for a, b in zip(wanted.values(), actual.values(), strict=True)
    ]
    lines = _count(made.text)
    return Row(name, nodes, lines, zoo_lines(net), imported - start, done - imported, max(errors))


def zoo_lines(net: Network) -> int:
    """Lines of the definitions that a network is made of, and of their files' defaults."""
    assert net.source
    places = [span for node in net.graph.nodes() for span in node.spans]
    blocks = set(net.graph.scopes.values())
    total = 0
    for unit in net.source.unit.all_units():
        inside = [span.start for span in places if span.source is unit.source]
        for item in unit.tree.items:
            span = item.span
            match item:
                case ast.Definition(name=name):
                    made = any(span.start <= start < span.end for start in inside)
                    counts = made or name.text in blocks
                case ast.Alias(name=name):
                    counts = name.text == net.name
                case _:
                    counts = isinstance(item, ast.Defaults) and bool(inside)
            if counts:
                total += _count(unit.source.text[span.start : span.end])
    return total


def _count(text: str) -> int:
    """Lines that are neither blank nor a comment."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.split("\n"))


def _inputs(net: Network) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal(
            (1, *(n if isinstance(n, int) else OPEN_SIZE for n in kind.shape)), dtype=np.float32
        )
        for name, kind in net.inputs.items()
    }


def main() -> None:
    """Print a line for each network, and at the end how many are right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="all of the zoo by default")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    rows, failed = [], []
    print("| network | nodes | lines | zoo | import s | text s | error |")
    print("|---|---|---|---|---|---|---|")
    for name in given.networks or concrete_networks(cnndsl.zoo()):
        try:
            row = round_trip(name)
        except cnndsl.CnnError as error:
            failed.append(name)
            print(f"| {name} | {str(error).splitlines()[0]} | | | | | |", flush=True)
            continue
        rows.append(row)
        seconds = f"{row.import_seconds:.1f} | {row.text_seconds:.1f}"
        lines = f"{row.lines} | {row.zoo_lines}"
        print(f"| {name} | {row.nodes} | {lines} | {seconds} | {row.error:.1e} |", flush=True)
    right = sum(row.error <= 1e-5 for row in rows)
    print(f"\n{right} of {len(rows) + len(failed)} within 1e-5")
    long = [row.network for row in rows if row.lines > LONG * row.zoo_lines]
    print(f"more than {LONG} times the zoo's lines: {', '.join(long) or 'none'}")
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
