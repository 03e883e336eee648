"""The functions that steps become: one for all steps that the same code serves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any

from cnndsl.backends.cpu.codegen.objects import Unit
from cnndsl.backends.cpu.codegen.toolchain import RUNTIME
from cnndsl.backends.cpu.kernels.kernel import Body
from cnndsl.backends.cpu.program.call_table import CallTable
from cnndsl.backends.cpu.program.lower import Step


def symbol_of(step: Step) -> str:
    """The name of a step's kernel: equal for steps that the same code serves."""
    return f"kernel_{hashlib.sha256(_key(step).encode()).hexdigest()[:16]}"


def kernels(steps: Iterable[Step]) -> list[Unit]:
    """All different kernels of some steps."""
    different = {symbol_of(step): step for step in steps}
    return [
        Unit(symbol, _key(step), partial(_function, step, symbol))
        for symbol, step in different.items()
    ]


def glue(table: CallTable) -> list[Unit]:
    """What a library needs besides kernels: the table of its steps, and the runtime."""
    text = table.source()
    return [Unit("program", text, lambda: text), Unit("runtime", "", RUNTIME.read_text)]


def _key(step: Step) -> str:
    return f"{step.kernel.family}:{step.call.key()}"


def _function(step: Step, symbol: str) -> list[Any]:
    body = Body(step.call, step.kernel)
    step.kernel.write(body)
    return [body.function(symbol)]
