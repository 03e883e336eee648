"""The functions that steps become: one for all steps that the same code serves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.objects import Unit
from cnndsl.backends.cpu.codegen.tir import MEET
from cnndsl.backends.cpu.codegen.toolchain import RUNTIME
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.lower import Step


def symbol_of(step: Step, prefix: str = "") -> str:
    """The name of a step's kernel: equal for steps that the same code serves."""
    return f"{prefix}kernel_{hashlib.sha256(_key(step).encode()).hexdigest()[:16]}"


def kernels(steps: Iterable[Step], prefix: str = "") -> list[Unit]:
    """All different kernels of some steps; `prefix` begins all names that they define or call."""
    different = {symbol_of(step, prefix): step for step in steps}
    return [
        Unit(symbol, _key(step), partial(_function, step, symbol, prefix))
        for symbol, step in different.items()
    ]


def glue(table: CallTable, prefix: str = "") -> list[Unit]:
    """What a library needs besides kernels: the table of its steps, and the runtime.

    `prefix` begins the names that kernels call.
    """
    name = f"#define {MEET} {prefix}{MEET}\n" if prefix else ""
    text = name + table.source()

    def runtime() -> str:
        return name + RUNTIME.read_text()

    return [
        Unit("program", text, lambda: text, is_kernel=False),
        Unit("runtime", prefix, runtime, is_kernel=False),
    ]


def _key(step: Step) -> str:
    return f"{step.kernel.family}:{step.call.key()}"


def _function(step: Step, symbol: str, prefix: str) -> list[Any]:
    body = Body(step.call, step.kernel, prefix)
    step.kernel.write(body)
    return [body.function(symbol)]
