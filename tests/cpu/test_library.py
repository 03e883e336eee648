"""Libraries for C: their interface from C and from Python, against the module of Python."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import save_file

import cnndsl
from cnndsl.cli.main import commands
from cnndsl.diagnostics import CnnError
from cnndsl.passes.pipeline import inference_graph
from cnndsl.runtime.image import load_image
from cnndsl.runtime.module import Array, Module
from cnndsl.weights.initialise import initialise

TEXT = """
network small {
    input image [3, 12, 10]
    conv(8, 3) -> relu -> conv(8, 3, pad=1) -> bn -> relu -> global_avgpool -> fc(7)
}
"""
OK, BAD_ARGUMENT, NOT_ALIGNED, NO_MEMORY, CANNOT_READ, WRONG_WEIGHTS = range(6)
MISSING_TENSOR, WRONG_TENSOR, NOT_FINITE = range(8, 11)
STATUSES = 11
NAMES = [
    "CMakeLists.txt",
    "example.c",
    "libsmall.a",
    "libsmall.so",
    "small-config.cmake",
    "small.h",
    "small.weights",
]


@pytest.fixture(scope="module")
def module() -> Module:
    return cnndsl.compile(TEXT, "cpu", seed=0, emit="library")


@pytest.fixture(scope="module")
def folder(module: Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "small"
    module.save(path)
    return path


@pytest.fixture
def image() -> Array:
    return np.random.default_rng(1).normal(size=(1, 3, 12, 10)).astype(np.float32)


@pytest.fixture
def library(folder: Path) -> Any:
    loaded = ctypes.CDLL(str(folder / "libsmall.so"))
    loaded.small_status_text.restype = ctypes.c_char_p
    loaded.small_arena_bytes.restype = ctypes.c_size_t
    loaded.small_create_from_memory.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    return loaded


def instance_of(library: Any, folder: Path) -> ctypes.c_void_p:
    instance = ctypes.c_void_p()
    path = str(folder / "small.weights").encode()
    assert library.small_create(ctypes.byref(instance), path) == OK
    return instance


def run(library: Any, instance: ctypes.c_void_p, image: Array, arena: int | None = None) -> Array:
    scores = np.full((1, 7), np.nan, np.float32)
    inputs = (ctypes.c_void_p * 1)(image.ctypes.data)
    outputs = (ctypes.c_void_p * 1)(scores.ctypes.data)
    assert library.small_run(instance, inputs, outputs, ctypes.c_void_p(arena)) == OK
    return scores


def aligned(size: int) -> Array:
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def test_the_folder_is_whole(folder: Path):
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert [path.name for path in folder.parent.iterdir()] == ["small"]


def test_computes_what_the_module_does(module: Module, library: Any, folder: Path, image: Array):
    """With its own arena and with the caller's, on one core and on all, with several instances."""
    first, second = (instance_of(library, folder) for _ in range(2))
    expected = module(image)
    assert np.array_equal(run(library, first, image), expected)
    arena = aligned(library.small_arena_bytes())
    assert np.array_equal(run(library, second, image, arena.ctypes.data), expected)
    assert library.small_set_threads(second, 1) == OK
    assert np.array_equal(run(library, second, 2 * image), module(2 * image))
    library.small_destroy(first)
    assert np.array_equal(run(library, second, image), expected)
    library.small_destroy(second)


def test_weights_come_from_files_and_memory_and_can_be_replaced(
    library: Any, folder: Path, image: Array, tmp_path: Path
):
    other = cnndsl.compile(TEXT, "cpu", seed=1, emit="library")
    other.save(tmp_path / "other")
    content = np.fromfile(tmp_path / "other" / "small.weights", np.uint8)
    memory = aligned(content.size)
    memory[:] = content
    instance = ctypes.c_void_p()
    start = ctypes.c_void_p(memory.ctypes.data)
    made = library.small_create_from_memory(ctypes.byref(instance), start, memory.size)
    assert made == OK
    assert np.array_equal(run(library, instance, image), other(image))
    path = str(folder / "small.weights").encode()
    assert library.small_set_weights(instance, path) == OK
    assert not np.array_equal(run(library, instance, image), other(image))
    size = ctypes.c_size_t(memory.size)
    assert library.small_set_weights_from_memory(instance, start, size) == OK
    assert np.array_equal(run(library, instance, image), other(image))
    library.small_destroy(instance)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_own_weights_of_a_network_are_packed(
    dtype: str, library: Any, folder: Path, image: Array, tmp_path: Path
):
    """The results are those of the module with these weights, but for the order of sums."""
    parameters = inference_graph(cnndsl.parse(TEXT).graph).parameters()
    arrays = {name: x.astype(dtype) for name, x in initialise(parameters, 5).items()}
    save_file({**arrays, "another": np.zeros(2, np.int32)}, tmp_path / "own.safetensors")
    expected = cnndsl.compile(TEXT, "cpu", weights=arrays)(image)
    content = (tmp_path / "own.safetensors").read_bytes()
    path = str(tmp_path / "own.safetensors").encode()
    first, second, third = ctypes.c_void_p(), ctypes.c_void_p(), instance_of(library, folder)
    before = run(library, third, image)
    assert library.small_create(ctypes.byref(first), path) == OK
    start, size = ctypes.c_char_p(content), ctypes.c_size_t(len(content))
    assert library.small_create_from_memory(ctypes.byref(second), start, size) == OK
    assert library.small_set_weights(third, path) == OK
    found = run(library, first, image)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    for instance in (second, third):
        assert np.array_equal(run(library, instance, image), found)
    assert library.small_set_weights(third, str(folder / "small.weights").encode()) == OK
    assert np.array_equal(run(library, third, image), before)
    (bias,) = (name for name, array in arrays.items() if array.shape == (7,))
    wrong = {
        MISSING_TENSOR: {name: x for name, x in arrays.items() if name != bias},
        WRONG_TENSOR: {**arrays, bias: np.zeros(8, np.float32)},
        NOT_FINITE: {**arrays, bias: np.full(7, np.nan, np.float32)},
    }
    path = str(tmp_path / "wrong").encode()
    for status, given in wrong.items():
        save_file(given, tmp_path / "wrong")
        assert library.small_set_weights(first, path) == status
        assert library.small_create(ctypes.byref(ctypes.c_void_p()), path) == status
    assert np.array_equal(run(library, first, image), found)
    for instance in (first, second, third):
        library.small_destroy(instance)


def test_wrong_weights_are_refused(library: Any, folder: Path, image: Array, tmp_path: Path):
    content = (folder / "small.weights").read_bytes()
    instance = instance_of(library, folder)
    before = run(library, instance, image)
    lines = [content[start : start + 64] for start in range(0, len(content), 64)]
    last = max(i for i in range(1, len(lines)) if lines[i] != lines[i - 1])
    swapped = [*lines[: last - 1], lines[last], lines[last - 1], *lines[last + 1 :]]
    for name, damaged in {
        "cut": content[:-4],
        "long": content + bytes(64),
        "bit": content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        "swapped": b"".join(swapped),
        "empty": b"",
    }.items():
        path = tmp_path / name
        path.write_bytes(damaged)
        status = library.small_set_weights(instance, str(path).encode())
        assert status == (WRONG_WEIGHTS if damaged else CANNOT_READ), name
    assert library.small_set_weights(instance, str(tmp_path / "none").encode()) == CANNOT_READ
    assert np.array_equal(run(library, instance, image), before)
    library.small_destroy(instance)


def test_wrong_arguments_are_refused(library: Any, folder: Path, image: Array):
    instance = instance_of(library, folder)
    inputs, nothing = (ctypes.c_void_p * 1)(image.ctypes.data), (ctypes.c_void_p * 1)()
    assert library.small_create(None, b"x") == BAD_ARGUMENT
    assert library.small_create(ctypes.byref(ctypes.c_void_p()), None) == BAD_ARGUMENT
    assert library.small_run(instance, inputs, nothing, None) == BAD_ARGUMENT
    assert library.small_run(instance, None, inputs, None) == BAD_ARGUMENT
    assert library.small_run(instance, inputs, inputs, ctypes.c_void_p(4)) == NOT_ALIGNED
    assert library.small_set_threads(instance, -1) == BAD_ARGUMENT
    texts = {library.small_status_text(status) for status in range(STATUSES + 1)}
    assert len(texts) == STATUSES + 1
    library.small_destroy(instance)
    library.small_destroy(None)


@pytest.mark.filterwarnings("ignore:.*is multi-threaded:DeprecationWarning")
def test_an_instance_in_use_is_free_in_a_forked_child(library: Any, folder: Path, image: Array):
    """The call that has its arena is one of the parent."""
    instance, calls, end = instance_of(library, folder), threading.Event(), threading.Event()
    expected = run(library, instance, image)

    def call() -> None:
        while not end.is_set():
            run(library, instance, image)
            calls.set()

    caller, statuses = threading.Thread(target=call), []
    caller.start()
    try:
        assert calls.wait(60)
        for _ in range(20):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = 0 if np.array_equal(run(library, instance, image), expected) else 2
                finally:
                    os._exit(status)
            statuses.append(os.waitpid(child, 0)[1])
    finally:
        end.set()
        caller.join()
    assert statuses == 20 * [0]
    library.small_destroy(instance)


def test_inputs_and_outputs_are_described(library: Any):
    class Tensor(ctypes.Structure):
        _fields_ = (
            ("name", ctypes.c_char_p),
            ("rank", ctypes.c_int32),
            ("shape", ctypes.POINTER(ctypes.c_int64)),
            ("bytes", ctypes.c_size_t),
        )

    for function in (library.small_input, library.small_output):
        function.restype = ctypes.POINTER(Tensor)
    found = library.small_input(0)[0]
    assert (found.name, found.shape[: found.rank], found.bytes) == (b"image", [1, 3, 12, 10], 1440)
    found = library.small_output(0)[0]
    assert (found.shape[: found.rank], found.bytes) == ([1, 7], 28)
    assert not library.small_output(1)
    assert not library.small_input(-1)


def test_the_example_sees_what_the_module_does(module: Module, folder: Path, tmp_path: Path):
    """On photos of other sizes, wider and higher than the input; nothing to warn of is in it."""
    program = tmp_path / "example"
    flags = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{folder}", f"-L{folder}"]
    libraries = ["-l:libsmall.a", "-lm", "-pthread"]
    command = ["cc", *flags, str(folder / "example.c"), "-o", str(program), *libraries]
    subprocess.run(command, check=True)
    for size in ((31, 50), (12, 9), (60, 40), (12, 10)):
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
        photo = tmp_path / "photo.ppm"
        Image.fromarray(pixels).save(photo)
        arguments = [str(program), str(photo), str(folder / "small.weights")]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
        scores = np.asarray(module(load_image(photo, module.inputs[0].type)))[0]
        best = sorted(range(7), key=lambda index: -scores[index])[:5]
        expected = [f"{float(scores[index]):9.6f}  {index:4d}" for index in best]
        assert done.stdout.splitlines() == expected


def test_all_symbols_begin_with_the_name(folder: Path):
    for arguments in (
        ["-g", "--defined-only", "libsmall.a"],
        ["-D", "--defined-only", "libsmall.so"],
    ):
        done = subprocess.run(
            ["nm", *arguments], cwd=folder, check=True, capture_output=True, text=True
        )
        names = [line.split()[2] for line in done.stdout.splitlines() if len(line.split()) == 3]
        assert len(names) > 8
        assert [name for name in names if not name.startswith("small_")] == []


def test_weights_can_be_embedded(
    module: Module, image: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By way of a folder whose name compilers, linkers and templates read otherwise."""
    scratch = tmp_path / 'a, "b" @net@ \\ \n \udcff'
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    embedded = cnndsl.compile(TEXT, "cpu", seed=0, emit="library", embed_weights=True)
    embedded.save(tmp_path / "small")
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == NAMES[:-1]
    library = ctypes.CDLL(str(tmp_path / "small" / "libsmall.so"))
    instance = ctypes.c_void_p()
    assert library.small_create_embedded(ctypes.byref(instance)) == OK
    assert np.array_equal(run(library, instance, image), module(image))
    library.small_destroy(instance)


def test_a_folder_with_other_files_stays(module: Module, tmp_path: Path):
    target = tmp_path / "small"
    target.mkdir()
    (target / "mine").write_text("mine")
    with pytest.raises(CnnError, match="other files, mine"):
        module.save(target)
    assert [path.name for path in target.iterdir()] == ["mine"]
    (target / "mine").unlink()
    (target / "libsmall.dylib").write_text("of another system")
    module.save(target)
    module.save(target)
    assert sorted(path.name for path in target.iterdir()) == NAMES
    cnndsl.compile(TEXT, "cpu", seed=0, emit="library", embed_weights=True).save(target)
    assert sorted(path.name for path in target.iterdir()) == NAMES[:-1]


def test_nothing_is_left_of_a_library_that_fails(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise CnnError.of("E0721", "no")

    monkeypatch.setattr("cnndsl.backends.cpu.emit.library._link", fail)
    with pytest.raises(CnnError, match="no"):
        module.save(tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_networks_whose_names_c_does_not_take_are_errors():
    with pytest.raises(CnnError, match="cannot begin names in C"):
        cnndsl.compile(TEXT.replace("small", "_small"), "cpu", seed=0, emit="library")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stdlib", "stdlib.h is a header"),
        ("Math", "Math.h is a header"),
        ("m", "libm is a library"),
        ("sem", "functions named sem_"),
        ("shared", "shared::shared"),
    ],
)
def test_networks_named_like_parts_of_the_system_are_errors(name: str, reason: str):
    with pytest.raises(CnnError, match=reason):
        cnndsl.compile(TEXT.replace("small", name), "cpu", seed=0, emit="library")


@pytest.mark.parametrize("name", ["runtime", "Pack"])
def test_neither_the_name_nor_the_working_folder_matters(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A library is named like a header of the compiler's, and such headers lie about."""
    for header in ("runtime", "pack", "numbers", "safetensors"):
        (tmp_path / f"{header}.h").write_text("#error not this one")
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    cnndsl.compile(TEXT.replace("small", name), "cpu", seed=0, emit="library").save(name)
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(own C)\nfind_package({name} REQUIRED)\n"
    )
    if shutil.which("cmake"):
        command = ["cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={tmp_path / name}"]
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_open_sizes_are_an_error_that_names_the_input():
    text = "network small { input sound [2, L]\n conv(4, 3) }"
    with pytest.raises(CnnError, match="known sizes") as caught:
        cnndsl.compile(text, "cpu", seed=0, emit="library")
    assert "--input-shape sound=2x224" in str(caught.value.diagnostics[0].hint)


def test_the_command_writes_the_folder(tmp_path: Path):
    source = tmp_path / "small.cnn"
    source.write_text(TEXT)
    target = tmp_path / "out"
    arguments = [str(source), "--seed", "0", "--target", "cpu", "--emit", "library"]
    result = CliRunner().invoke(commands, ["compile", *arguments, "-o", str(target)])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in target.iterdir()) == NAMES
    shutil.rmtree(target)
    target.write_text("mine")
    result = CliRunner().invoke(commands, ["compile", *arguments, "-o", str(target)])
    assert "the result is a folder" in result.output
    assert target.read_text() == "mine"


def test_the_bytes_of_a_module_are_told(tmp_path: Path):
    """Those of kernels are those of the linker; all together are the file, but for its frame."""
    file = tmp_path / "small.cnnmod"
    cnndsl.compile(TEXT, "cpu", seed=0).save(file)
    result = CliRunner().invoke(commands, ["inspect", str(file), "--size", "--json"])
    sizes = json.loads(result.output)
    total = sum(size["bytes"] for size in sizes)
    assert 0 < file.stat().st_size - total < 8000
    with zipfile.ZipFile(file) as archive:
        (tmp_path / "library.so").write_bytes(archive.read("library.so"))
    command = ["nm", "-S", str(tmp_path / "library.so")]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in told.splitlines() if " kernel_" in line]
    kernels = [size["bytes"] for size in sizes if size["kind"] == "kernels"]
    assert sorted(kernels) == sorted(int(row[1], 16) for row in rows)
    shown = CliRunner().invoke(commands, ["inspect", str(file), "--size"]).output
    assert "kernels" in shown
    assert "weights" in shown
