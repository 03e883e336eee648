"""C compilers, and the archivers that belong to them, for this machine and others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from cnndsl.backends.cpu.cpus import Triple
from cnndsl.diagnostics import CnnError

DEBIAN = {
    "aarch64": "gcc-aarch64-linux-gnu",
    "arm": "gcc-arm-linux-gnueabihf",
    "riscv64": "gcc-riscv64-linux-gnu",
}
"""Packages of Debian with a compiler for an architecture."""
ZIG_SYSTEMS = {"macosx": "macos", "darwin": "macos", "apple": ""}
"""What zig calls parts of a triple otherwise."""


@dataclass(frozen=True)
class Compiler:
    """Commands that compile and link C, and that make archives."""

    cc: tuple[str, ...]
    ar: tuple[str, ...]

    def __call__(self, arguments: Sequence[str], text: str = "") -> None:
        """Compile or link. Raises CnnError (E0721) if that fails."""
        _call([*self.cc, *arguments], text)

    def archive(self, objects: Sequence[Path], path: Path) -> None:
        """A static library, without timestamps. Raises CnnError (E0721)."""
        _call([*self.ar, "rcsD", str(path), *map(str, objects)], "")

    @property
    def key(self) -> tuple[str, ...]:
        """Tells apart compilers that make different code: the command, and when it was changed."""
        path = Path(shutil.which(self.cc[0]) or self.cc[0]).resolve()
        return (*self.cc, str(path), *([str(path.stat().st_mtime_ns)] if path.exists() else []))


@cache
def compiler_for(triple: str = "") -> Compiler:
    """The compiler of a triple; `cc` where it is empty.

    For others it is the triple's gcc or clang, or zig, which has one for all of them. Raises
    CnnError (E0721) if there is none.
    """
    if not triple:
        return Compiler(("cc",), (_archiver("cc"),))
    target = Triple.of(triple)
    for name in () if target.is_wasm else (f"{triple}-gcc", f"{triple}-clang"):
        if shutil.which(name):
            return Compiler((name,), (_archiver(name),))
    zig = () if "android" in target.text else _zig()  # It has no C library of Android.
    if zig:
        return Compiler((*zig, "cc", "-target", _zig_target(target)), (*zig, "ar"))
    hint = "pip install 'cnndsl[cross]', which brings one for all of them"
    if "android" in target.text:
        hint = f"{triple}21-clang of Android's NDK, say, makes code for --triple {triple}21"
    elif target.architecture in DEBIAN and "linux" in triple:
        hint += f"; or install {triple}-gcc (Debian: {DEBIAN[target.architecture]})"
    raise CnnError.of("E0721", f"no C compiler for {triple}", hint=hint)


def _archiver(cc: str) -> str:
    """The archiver that belongs to a compiler."""
    try:
        answer = subprocess.run(
            [cc, "-print-prog-name=ar"], capture_output=True, text=True, check=False
        )
    except OSError:
        return "ar"
    return answer.stdout.strip() or "ar"


def _zig() -> tuple[str, ...]:
    if find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang")
    return ("zig",) if shutil.which("zig") else ()


def _zig_target(target: Triple) -> str:
    if target.is_wasm:
        return "wasm32-freestanding"
    _, *rest = target.text.split("-")
    words = [ZIG_SYSTEMS.get(word, word) for word in rest if word != "unknown"]
    return "-".join([target.architecture, *filter(None, words)])


def _call(command: Sequence[str], text: str) -> None:
    place = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            input=text,
            env=place,
        )
    except OSError:
        raise CnnError.of(
            "E0721", "no C compiler to link the module with", hint="install gcc or clang as `cc`"
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        reason = next((line for line in lines if "error" in line), lines[-1])
        raise CnnError.of("E0721", f"the C compiler failed: {reason}")
