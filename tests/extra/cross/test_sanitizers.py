"""The C of libraries under sanitizers and valgrind, from many threads, and from C++ and CMake."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import save_file

import cnndsl
from cnndsl.backends.cpu.emit import library
from cnndsl.passes.pipeline import inference_graph
from cnndsl.weights.bind import bind
from cnndsl.weights.moments import starts
from tests.cpu.test_library import TEXT

PROGRAM = Path(__file__).with_name("threads.c")
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror")


def built(folder: Path, *flags: str) -> Path:
    """The program, linked with the static library."""
    program = folder / "threads"
    sources = ["-std=c11", *WARNINGS, *flags, f"-I{folder}", str(PROGRAM)]
    linked = [str(folder / "libsmall.a"), "-lm", "-pthread", "-o", str(program)]
    subprocess.run(["cc", *sources, *linked], check=True)
    return program


def own_weights(folder: Path) -> Path:
    """Those of the seed, as the network names them."""
    graph = inference_graph(cnndsl.parse(TEXT).graph)
    path = folder / "own.safetensors"
    save_file(bind(graph.parameters(), None, seed=0, starts=starts(graph)).values, path)
    return path


@pytest.mark.parametrize("kind", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flags = ("-g", f"-fsanitize={kind}", "-fno-sanitize-recover=all")
    strict = (*library.C_FLAGS, *WARNINGS, *flags)
    monkeypatch.setattr(library, "C_FLAGS", strict)
    monkeypatch.setattr(library, "_link", lambda *_: None)
    folder = tmp_path / "small"
    cnndsl.compile(TEXT, "cpu", seed=0, emit="library").save(folder)
    program = built(folder, *flags)
    done = subprocess.run(
        [program, folder / "small.weights", own_weights(tmp_path)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_valgrind_finds_nothing(tmp_path: Path):
    folder = tmp_path / "small"
    cnndsl.compile(TEXT, "cpu", seed=0, emit="library", mcpu="x86-64-v3").save(folder)
    command = ["valgrind", "--error-exitcode=9", "--leak-check=full", "--quiet"]
    done = subprocess.run(
        [*command, built(folder, "-g"), folder / "small.weights", own_weights(tmp_path)],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_header_is_one_of_cpp_and_cmake_finds_the_folder(tmp_path: Path):
    folder = tmp_path / "small"
    cnndsl.compile(TEXT, "cpu", seed=0, emit="library").save(folder)
    (tmp_path / "main.cpp").write_text(
        '#include "small.h"\n#include <cstdio>\nint main() { small_instance *net = nullptr;\n'
        "small_status status = small_create(&net, WEIGHTS);\n"
        "std::puts(small_status_text(status)); small_destroy(net); return status; }\n"
    )
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user CXX)\n"
        "find_package(small REQUIRED)\nadd_executable(user main.cpp)\n"
        "target_link_libraries(user small::small)\n"
        f"target_compile_options(user PRIVATE {' '.join(WARNINGS)})\n"
        'target_compile_definitions(user PRIVATE WEIGHTS="${small_WEIGHTS}")\n'
    )
    found = f"-Dsmall_DIR={folder}"
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "build", found], check=True)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True)
    subprocess.run(["cmake", "-S", folder, "-B", tmp_path / "example"], check=True)
    subprocess.run(["cmake", "--build", tmp_path / "example"], check=True)
    done = subprocess.run([tmp_path / "build" / "user"], check=True, capture_output=True, text=True)
    assert done.stdout == "no error\n"
