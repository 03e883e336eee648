"""The runtime in C under the sanitizers of gcc, with callers, children and stops in their midst."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
RUNTIME = Path(__file__).parents[3] / "backends" / "cpu" / "runtime"
FLAGS = "-g -O1 -std=c11 -pthread -Wall -Wextra -pedantic -Werror -fno-sanitize-recover=all"
OPTIONS = {"TSAN_OPTIONS": "die_after_fork=0 halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=1"}


def run(
    tmp_path: Path, sanitizer: str, runtime: Path, forks: int = 100
) -> subprocess.CompletedProcess[str]:
    program, objects = tmp_path / "server", []
    for source, flags in ((FOLDER / "server.c", ["-D_DEFAULT_SOURCE"]), (runtime, [])):
        objects.append(tmp_path / f"{source.stem}.o")
        settings = [*FLAGS.split(), f"-fsanitize={sanitizer}", f"-I{RUNTIME}", *flags]
        subprocess.run(["gcc", *settings, "-c", source, "-o", objects[-1]], check=True)
    subprocess.run(
        ["gcc", "-pthread", f"-fsanitize={sanitizer}", *objects, "-o", program], check=True
    )
    return subprocess.run(
        [program, "8", "500", str(forks)],
        capture_output=True, text=True, timeout=600, env=os.environ | OPTIONS,
    )  # fmt: skip


@pytest.mark.parametrize(("sanitizer", "forks"), [("address,undefined", 0), ("thread", 100)])
def test_a_server_is_clean(tmp_path: Path, sanitizer: str, forks: int):
    """Without forks under ASan: gcc 12's leaves the lock of its allocator locked in a child."""
    done = run(tmp_path, sanitizer, RUNTIME / "runtime.c", forks)
    assert (done.returncode, done.stdout) == (0, "0 wrong\n"), done.stderr


def test_a_barrier_without_order_is_found(tmp_path: Path):
    """The sanitizer sees what the runtime promises: meetings order what the cores write."""
    text = (RUNTIME / "runtime.c").read_text()
    broken = tmp_path / "runtime.c"
    text = text.replace(
        "atomic_store(&call->flags[core].done, phase)",
        "atomic_store_explicit(&call->flags[core].done, phase, memory_order_relaxed)",
    )
    broken.write_text(
        text.replace("memory_order_acquire) < phase", "memory_order_relaxed) < phase")
    )
    done = run(tmp_path, "thread", broken)
    assert done.returncode != 0
    assert "data race" in done.stderr
