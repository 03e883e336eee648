"""From TensorIR and C to object code, and from object code to a shared library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnndsl.backends.cpu.codegen.compilers import compiler_for
from cnndsl.backends.cpu.cpus import Triple
from cnndsl.backends.cpu.load_tvm import load_tvm
from cnndsl.backends.cpu.machine import Machine

RUNTIME = Path(__file__).parents[1] / "runtime" / "runtime.c"
_ADDED = [
    re.compile(text)
    for text in (r", !dbg !\d+", r" !dbg !\d+", r"\n *#dbg_.*", r"\n!llvm\.dbg\.cu.*")
]
"""What tells of positions. `re` looks for a text that a pattern begins with ten times as fast."""
_CONVERSIONS = re.compile(r"\ndefine [^\n]*@__(?:extendhfsf2|truncsfhf2).*?\n}(?=\n)", re.S)
_USES_HALVES = re.compile(r"\n[^d].*\bhalf\b")
C_FLAGS = ("-std=c11", "-O2", "-fPIC", "-fvisibility=hidden")


def object_code(functions: Sequence[Any], machine: Machine, path: Path) -> None:
    """Compile functions into an object file, which has nothing else in it."""
    text = path.with_suffix(".ll")
    text.write_text(_bare(str(compiled(functions, machine).inspect_source("ll"))))
    load_tvm().runtime.load_module(str(text)).write_to_file(str(path), "o")
    text.unlink()


def _bare(text: str) -> str:
    """LLVM's text of functions without what TVM adds to each file.

    That is what tells debuggers of positions, and conversions of half precision if none is used.
    It is most of an object file, and the names of the conversions begin with no prefix.
    """
    for pattern in _ADDED:
        text = pattern.sub("", text)
    own = _CONVERSIONS.sub("", text)
    bare = text if "half" in own and _USES_HALVES.search(own) else own
    return bare.replace("define dllexport ", "define hidden ")


def assembly(functions: Sequence[Any], machine: Machine) -> str:
    """What the functions become, for people."""
    return str(compiled(functions, machine).inspect_source("asm"))


def compiled(functions: Sequence[Any], machine: Machine) -> Any:
    """TVM's module of some functions with different names.

    The kernels are written as they should be: only what turns them into LLVM's form is run,
    none of TVM's optimisations. They are functions of C, not of TVM's runtime.
    """
    tvm = load_tvm()
    transform, target = tvm.tirx.transform, machine.target()
    passes = [
        transform.BindTarget(target),
        transform.StmtSimplify(),
        transform.CommonSubexprElim(),
        transform.LowerTVMBuiltin(),
        transform.LowerIntrin(),
    ]
    module = tvm.IRModule({str(f.attrs["global_symbol"]): f for f in functions})
    with tvm.transform.PassContext(config={"tirx.disable_assert": True}):
        lowered = tvm.transform.Sequential(passes)(module)
        return tvm.get_global_func("target.build.llvm")(lowered, target)


def c_object(text: str, path: Path, machine: Machine, flags: Sequence[str] = ()) -> None:
    """Compile a text in C into an object file. Raises CnnError (E0721) without a C compiler."""
    compiler = compiler_for(machine.triple)
    include = f"-I{RUNTIME.parent}"
    compiler([*C_FLAGS, *flags, include, "-c", "-x", "c", "-o", str(path), "-"], text)


def link(objects: Sequence[Path], library: Path, machine: Machine) -> None:
    """Link object files into a shared library. Raises CnnError (E0721) without a C compiler."""
    settings = ["-shared", "-pthread"]
    if not (machine.triple and Triple.of(machine.triple).is_apple):
        settings.append("-Wl,-Bsymbolic,-z,defs")
    compiler_for(machine.triple)([*settings, "-o", str(library), *map(str, objects), "-lm"])
