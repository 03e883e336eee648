"""What a kernel is: a call to be computed, its weights, its CUDA text, how it is launched."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

from cnndsl.backends.cuda.layout import Layout
from cnndsl.backends.cuda.machine import Machine
from cnndsl.backends.cuda.steps import argument, step_text
from cnndsl.backends.native.task import Task
from cnndsl.ir.expressions import Expression
from cnndsl.ir.formula import keeps_finite
from cnndsl.ir.operator import Operator
from cnndsl.ir.part import Op, Part

THREADS = (128, 256, 64)
"""Threads of a block to choose from where these do not cooperate, the usual number first."""


@dataclass(frozen=True)
class Call(Task[Op, Layout]):
    """One node of the graph, on a GPU."""

    machine: Machine


@dataclass(frozen=True)
class Launch:
    """Blocks along each axis, threads of a block, bytes that a block shares, blocks of a cluster.

    `cooperative` kernels have barriers. Registers of a thread are limited such that `resident`
    blocks fit on a multiprocessor; with 0 the compiler weighs registers against blocks.
    """

    grid: tuple[int, int, int]
    threads: int
    shared: int = 0
    cluster: int = 1
    cooperative: bool = False
    resident: int = 0


@dataclass(frozen=True)
class Kernel:
    """A way to compute a call; `variant` is its name, which no other one for the call has.

    `function` of the device folder is the kernel's body; `constants` and `members` are what it
    needs of the struct K besides layouts and steps. `weights` are float32 but for those in
    `halves`. A `specific` kernel has instructions of no other generation of GPUs.
    """

    family: str
    variant: str
    function: str
    launch: Launch
    weights: Mapping[str, Expression]
    constants: Mapping[str, int] = field(default_factory=dict)
    members: str = ""
    halves: frozenset[str] = frozenset()
    specific: bool = False


Family: TypeAlias = Callable[[Call[Any]], Iterator[Kernel]]
"""Kernels of one kind that compute a call, the best first as far as that is known; or none."""
Families: TypeAlias = dict[type[Operator], Family]


def flat_launch(count: int, threads: int) -> Launch:
    """Blocks of so many threads that there are `count` at least."""
    return Launch((-(-count // threads), 1, 1), threads)


def nearest(usual: int, options: Iterable[int]) -> list[int]:
    """The options by their ratio to the usual one, which is the first."""
    return sorted(options, key=lambda n: abs(math.log2(n / usual)))


def elementary(
    family: str,
    call: Call[Any],
    core: str,
    members: str = "",
    constants: Mapping[str, int] | None = None,
    weights: Mapping[str, Expression] | None = None,
    each: Sequence[int] = (1,),
) -> Iterator[Kernel]:
    """Kernels whose threads compute vectors of outputs by the statements `core`.

    These may use `members`, `constants`, and `weights` besides those of the call's steps. `each`
    are the numbers of vectors in a thread to choose from.
    """
    output = call.output
    vectors = output.batch * output.positions * output.blocks
    members += (
        "  template <int V>\n"
        "  DEVICE void core(float (&v)[V], const Arguments &a, const Place &p) {\n"
        f"    {core}\n  }}\n"
    )
    for own, threads in product(each, THREADS):
        yield Kernel(
            family,
            f"{threads} threads x {own}",
            "outputs",
            flat_launch(-(-vectors // own), threads),
            {**(weights or {}), **call.step_weights()},
            {**(constants or {}), "OUTPUTS": own},
            members,
        )


def kernel_text(call: Call[Any], kernel: Kernel) -> tuple[str, str]:
    """The name of a kernel, equal for equal text, and the CUDA text."""
    body = _struct(call, kernel)
    launch = kernel.launch
    digest = hashlib.sha256(f"{body}{kernel.function}{launch}".encode()).hexdigest()
    name = f"{kernel.family}_{digest[:16]}"
    cluster = f" __cluster_dims__({launch.cluster}, 1, 1)" if launch.cluster > 1 else ""
    bounds = ", ".join(map(str, filter(None, (launch.threads, launch.resident))))
    return name, (
        f"struct K_{name} {{\n{body.replace('SELF', f'K_{name}')}}};\n\n"
        f'extern "C" __global__ void __launch_bounds__({bounds}){cluster}\n'
        f"{name}(K_{name}::Arguments a) {{\n  {kernel.function}<K_{name}>(a);\n}}\n"
    )


def _struct(call: Call[Any], kernel: Kernel) -> str:
    launch = kernel.launch
    constants = {
        "V": call.output.block,
        "THREADS": launch.threads,
        "CLUSTER": launch.cluster,
        "COOPERATIVE": int(launch.cooperative),
        **kernel.constants,
    }
    listed = ", ".join(f"{name} = {value}" for name, value in constants.items())
    bias = ["add(v, a.bias + p.c);"] if "bias" in kernel.weights else []
    inputs = "".join(x.struct(f"X{i}") for i, x in enumerate(call.inputs))
    return (
        f"{call.output.struct('Output')}  typedef Output Y;\n{inputs}"
        f"  enum {{ {listed} }};\n{_arguments(call, kernel)}"
        f"{_steps('begin', 'prologue', call.prologue, call.x, [])}"
        f"{_steps('finish', 'epilogue', call.epilogue, call.output, bias)}{kernel.members}"
    )


def _arguments(call: Call[Any], kernel: Kernel) -> str:
    lines = [f"{call.output.type} *y;"]
    lines += [f"const {x.type} *x{i};" for i, x in enumerate(call.inputs)]
    lines += [
        f"const {'Half' if role in kernel.halves else 'float'} *{argument(role)};"
        for role in kernel.weights
    ]
    return "  struct Arguments {\n" + "".join(f"    {line}\n" for line in lines) + "  };\n"


def _steps(
    name: str, label: str, steps: tuple[Part[Operator], ...], layout: Layout, before: list[str]
) -> str:
    lines = list(before)
    joined = 0
    for index, part in enumerate(steps):
        joined += len(part.inputs) - 1
        lines.append(step_text(part.op, f"{label}{index}", f"X{joined}"))
        spoils = part.op.formula is not None and not keeps_finite(part.op.formula)
        if spoils and layout.padded > layout.channels:
            lines.append(f"EACH if (p.c + i >= {layout.channels}) v[i] = 0.0f;")
    return (
        "  template <int V>\n"
        f"  DEVICE void {name}(float (&v)[V], const Arguments &a, const Place &p) {{\n"
        + "".join(f"    {line}\n" for line in lines)
        + "  }\n"
    )
