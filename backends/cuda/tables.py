"""A program as values of JSON: what an artefact holds, read back and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cnndsl.backends.cuda.kernel import Launch
from cnndsl.backends.cuda.lower import Program, Slot, Step
from cnndsl.backends.cuda.toolchain import Resources
from cnndsl.backends.native.packing import FLOAT, Packing, Weight, pack
from cnndsl.ir.text import operator_text
from cnndsl.ir.types import FLOAT16, FLOAT32
from cnndsl.runtime.layers import Layer

WEIGHTS = "weights"
"""The region of packed weights; the others are `arena` and the names of inputs and outputs."""


@dataclass(frozen=True)
class Task:
    """One launch: the kernel's name, how it is launched, where its arguments lie, in order."""

    symbol: str
    launch: Launch
    arguments: tuple[Slot, ...]


def packing_of(program: Program) -> Packing:
    """Where the weights of all steps lie."""
    return pack((step.node, weights_of(step)) for step in program.steps)


def weights_of(step: Step) -> dict[str, Weight]:
    """The weights of a kernel as they lie in memory."""
    halves = step.kernel.halves
    return {
        role: Weight(expression, FLOAT16 if role in halves else FLOAT32)
        for role, expression in step.kernel.weights.items()
    }


def describe(
    program: Program, packing: Packing, resources: Mapping[str, Resources]
) -> dict[str, Any]:
    """The launches, what they compute, and what their kernels need, as values of JSON."""
    offsets = zip(program.steps, packing.offsets, strict=True)
    return {
        "arena": program.plan.arena_bytes,
        "tasks": [asdict(_task(step, own)) for step, own in offsets],
        "layers": [asdict(_layer(program, step)) for step in program.steps],
        "kernels": {name: asdict(used) for name, used in resources.items()},
        "regions": {name: name for name in program.graph.inputs}
        | {node: output for output, node in program.graph.outputs.items()},
    }


def _task(step: Step, offsets: tuple[int, ...]) -> Task:
    weights = (Slot(WEIGHTS, offset * FLOAT) for offset in offsets)
    return Task(step.symbol, step.kernel.launch, (step.output, *step.inputs, *weights))


def _layer(program: Program, step: Step) -> Layer:
    node, output = program.graph[step.node], step.call.output
    macs = node.macs * output.batch
    weights = sum(weight.bytes for weight in weights_of(step).values())
    read = sum(x.bytes for x in step.call.inputs) + weights
    shape = (output.batch, *(n for n in node.type.shape if isinstance(n, int)))
    return Layer(
        step.node, operator_text(node), step.kernel.family, shape, macs, read, output.bytes
    )


def read_tasks(program: Mapping[str, Any]) -> tuple[Task, ...]:
    """The launches. Raises KeyError, TypeError or ValueError if the table is broken."""
    return tuple(
        Task(
            str(row["symbol"]),
            Launch(**{**row["launch"], "grid": tuple(map(int, row["launch"]["grid"]))}),
            tuple(Slot(str(slot["region"]), int(slot["offset"])) for slot in row["arguments"]),
        )
        for row in program["tasks"]
    )


def read_resources(program: Mapping[str, Any]) -> dict[str, Resources]:
    """What the kernels need. Raises KeyError or TypeError if the table is broken."""
    return {str(name): Resources(**used) for name, used in program["kernels"].items()}
