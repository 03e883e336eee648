"""From TensorIR and C to object code, and from object code to a shared library."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnndsl.backends.cpu.machine import Machine
from cnndsl.diagnostics import CnnError

RUNTIME = Path(__file__).parents[1] / "runtime" / "runtime.c"
C_FLAGS = ("-std=c11", "-O2", "-fPIC", "-fvisibility=hidden")


def object_code(functions: Sequence[Any], machine: Machine, path: Path) -> None:
    """Compile functions into an object file."""
    compiled(functions, machine).write_to_file(str(path), "o")


def assembly(functions: Sequence[Any], machine: Machine) -> str:
    """What the functions become, for people."""
    return str(compiled(functions, machine).inspect_source("asm"))


def compiled(functions: Sequence[Any], machine: Machine) -> Any:
    """TVM's module of some functions with different names.

    The kernels are written as they should be: only what turns them into LLVM's form is run,
    none of TVM's optimisations. They are functions of C, not of TVM's runtime.
    """
    import tvm
    from tvm.tirx import transform

    target = machine.target()
    passes = [
        transform.BindTarget(target),
        transform.FlattenBuffer(),
        transform.StmtSimplify(),
        transform.CommonSubexprElim(),
        transform.LowerTVMBuiltin(),
        transform.LowerIntrin(),
    ]
    module = tvm.IRModule({str(f.attrs["global_symbol"]): f for f in functions})
    with tvm.transform.PassContext(config={"tirx.disable_assert": True}):
        lowered = tvm.transform.Sequential(passes)(module)
        return tvm.get_global_func("target.build.llvm")(lowered, target)


def c_object(text: str, path: Path) -> None:
    """Compile a text in C into an object file. Raises CnnError (E0721) without a C compiler."""
    _call_compiler([*C_FLAGS, f"-I{RUNTIME.parent}", "-c", "-x", "c", "-o", str(path), "-"], text)


def link(objects: Sequence[Path], library: Path) -> None:
    """Link object files into a shared library. Raises CnnError (E0721) without a C compiler."""
    settings = ["-shared", "-pthread", "-Wl,-Bsymbolic,-z,defs"]
    _call_compiler([*settings, "-o", str(library), *map(str, objects), "-lm"])


def _call_compiler(arguments: Sequence[str], text: str = "") -> None:
    command, place = ["cc", *arguments], {**os.environ, "TMPDIR": tempfile.gettempdir()}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, input=text, env=place
        )
    except OSError:
        raise CnnError.of(
            "E0721", "no C compiler to link the module with", hint="install gcc or clang as `cc`"
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        reason = next((line for line in lines if "error" in line), lines[-1])
        raise CnnError.of("E0721", f"the C compiler failed: {reason}")
