"""Planned memory: the networks of the zoo, and dense blocks by depth, as Markdown tables.

    python -m benchmarks.memory [NETWORK ...]

Without names: densenet121, resnet50, googlenet, mobilenet_v2 and vgg16, one image in float32, all
passes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import cnndsl
from cnndsl.ir.graph import Graph
from cnndsl.memory import Options, plan
from cnndsl.memory.training import training_memory
from cnndsl.passes.pipeline import LEVELS, optimise

NETWORKS = ("densenet121", "resnet50", "googlenet", "mobilenet_v2", "vgg16")
DEPTHS = (10, 20, 50, 100, 200)
DENSE_BLOCK = """
block dense_layer(growth) {{ concat {{ identity | bn -> relu -> conv(growth, 3, bias=false) }} }}
network block_alone {{ input x [32, 28, 28]
    repeat {depth} {{ dense_layer(32) }} }}
"""


def network_row(name: str) -> list[str]:
    """Totals of one network."""
    graph = _optimised(cnndsl.parse(name).graph)
    found, copying = plan(graph), plan(graph, Options(in_place_concat=False))
    sizes = (found.sum_bytes, found.arena_bytes, found.lower_bound_bytes, copying.arena_bytes)
    return [name, *map(_megabytes, sizes), _megabytes(copying.concat_copy_bytes)]


def block_row(depth: int) -> list[str]:
    """Growth 32 on maps of 28 by 28, for inference and for training."""
    graph = cnndsl.parse(DENSE_BLOCK.format(depth=depth)).graph
    inference = _optimised(graph)
    copying = plan(inference, Options(in_place_concat=False))
    training = training_memory(graph)
    sizes = (copying.sum_bytes, plan(inference).arena_bytes, training.kept, training.shared)
    return [str(depth), *map(_megabytes, sizes)]


def _optimised(graph: Graph) -> Graph:
    return optimise(graph, max(LEVELS))[0]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f}"


def _print_table(head: list[str], rows: Iterable[list[str]]) -> None:
    print(f"| {' | '.join(head)} |")
    print(f"|---{'|---:' * (len(head) - 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Print both tables, in MB."""
    parser = argparse.ArgumentParser(description="Planned memory in MB.")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    names = parser.parse_args().networks
    head = ["network", "all tensors", "arena", "lower bound", "arena with copies", "copied"]
    _print_table(head, map(network_row, names))
    print()
    head = ["layers", "all tensors", "arena", "training, kept", "training, shared"]
    _print_table(head, map(block_row, DEPTHS))


if __name__ == "__main__":
    main()
