"""The runtime in C under what servers do: forks, threads, many modules, loads and unloads."""

from __future__ import annotations

import copy
import gc
import json
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import cnndsl
from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.cpu.runtime import library as runtime
from cnndsl.backends.cpu.runtime.library import Library
from cnndsl.cli.main import commands
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.module import Array, Module

TEXT = """
network n {
    input image [3, 16, 16]
    conv(16, 3) -> relu -> conv(16, 3) -> relu -> global_avgpool -> fc(5)
}
"""
IMAGE = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore:.*is multi-threaded:DeprecationWarning")
FORK = multiprocessing.get_context("fork")
PATIENCE = 300
"""Seconds that a child may take before it counts as hanging."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runtime") / "net.cnnmod"
    cnndsl.compile(TEXT, "cpu", seed=0).save(path)
    return path


@pytest.fixture(scope="module")
def expected(file: Path) -> Array:
    result: Array = cnndsl.load(file)(IMAGE)
    return result


def in_child(work: Callable[[], Array]) -> Array:
    """What a forked child computes. Fails if the child hangs."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=lambda: sender.send(work()))
    process.start()
    try:
        assert receiver.poll(PATIENCE), "the child hangs"
        result: Array = receiver.recv()
        return result
    finally:
        process.kill()
        process.join()


def call_as_declared(module: Module) -> None:
    module(*(np.zeros((port.batch or 2, *port.type.shape), np.float32) for port in module.inputs))


def tasks() -> int:
    return len(os.listdir("/proc/self/task"))


def maps() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_a_forked_child_calls_the_module_of_its_parent(file: Path, expected: Array):
    module = cnndsl.load(file)
    np.testing.assert_array_equal(in_child(lambda: module(IMAGE)), expected)
    module(IMAGE)
    np.testing.assert_array_equal(in_child(lambda: module(IMAGE)), expected)
    np.testing.assert_array_equal(
        in_child(lambda: in_child(lambda: module(IMAGE)) + module(IMAGE)), 2 * expected
    )
    np.testing.assert_array_equal(module(IMAGE), expected)


def test_a_fork_in_the_midst_of_calls(file: Path, expected: Array):
    module, end = cnndsl.load(file), threading.Event()

    def call() -> None:
        while not end.is_set():
            module(IMAGE)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(5):
            np.testing.assert_array_equal(in_child(lambda: module(IMAGE)), expected)
    finally:
        end.set()
        for caller in callers:
            caller.join()


def test_a_fork_while_another_thread_loads_the_code(
    file: Path, expected: Array, monkeypatch: pytest.MonkeyPatch
):
    module, begun, load = cnndsl.load(file), threading.Event(), CpuModule._load

    def slowly(self: CpuModule) -> Library:
        begun.set()
        time.sleep(0.3)
        return load(self)

    monkeypatch.setattr(CpuModule, "_load", slowly)
    caller = threading.Thread(target=module, args=(IMAGE,))
    caller.start()
    assert begun.wait(PATIENCE)
    np.testing.assert_array_equal(in_child(lambda: module(IMAGE)), expected)
    caller.join()


def test_a_child_loads_and_drops_modules(file: Path, expected: Array):
    module = cnndsl.load(file)
    module(IMAGE)

    def work() -> Array:
        nonlocal module
        result = cnndsl.load(file)(IMAGE) + module(IMAGE)
        del module
        return result + cnndsl.load(file)(IMAGE)

    np.testing.assert_array_equal(in_child(work), 3 * expected)


def test_callers_that_come_and_go_leave_nothing(file: Path, expected: Array):
    module = cnndsl.load(file)
    wrong = []

    def call() -> None:
        if not np.array_equal(module(IMAGE), expected):
            wrong.append(1)

    def callers(number: int) -> None:
        for _ in range(number // 4):
            threads = [threading.Thread(target=call) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    callers(40)
    before = tasks(), maps()
    callers(1000)
    assert not wrong
    assert tasks() <= before[0] + 1
    assert maps() <= before[1] + 20


def test_several_modules_and_callers_share_the_cores(file: Path, expected: Array):
    modules = [cnndsl.load(file, threads) for threads in (None, 1, 2, 3)]
    with ThreadPoolExecutor(8) as callers:
        for _ in range(8):
            results = list(callers.map(lambda module: module(IMAGE), modules * 8))
            for result in results:
                np.testing.assert_array_equal(result, expected)


def test_short_calls_do_not_wait_for_long_ones(file: Path):
    """A call of a large network gives way while it runs."""
    large = cnndsl.compile(
        "network l { input image [3, 256, 256]\n for i in range(8) { conv(16, 3) -> relu } }",
        "cpu",
        seed=0,
    )
    small, image = cnndsl.load(file), np.zeros((1, 3, 256, 256), np.float32)
    calls, end = 0, threading.Event()

    def call() -> None:
        nonlocal calls
        while not end.is_set():
            small(IMAGE[:1])
            calls += 1

    caller = threading.Thread(target=call)
    caller.start()
    for _ in range(5):
        large(image)
    end.set()
    caller.join()
    assert calls > 20


def test_an_idle_module_uses_no_cpu(file: Path):
    module = cnndsl.load(file)
    before = time.process_time()
    for _ in range(5):
        module(IMAGE)
        time.sleep(0.1)
    assert time.process_time() - before < 0.1


def test_workers_end_and_code_is_unloaded_with_the_last_module(file: Path):
    def load_and_call(number: int) -> None:
        modules = [cnndsl.load(file) for _ in range(2)]
        for module in modules[:: 1 if number % 2 else -1]:
            module(IMAGE)
        del modules[number % 2]
        modules[0](IMAGE)

    load_and_call(0)
    gc.collect()
    before = tasks(), maps()
    for number in range(20):
        load_and_call(number)
    gc.collect()
    assert tasks() == before[0]
    assert maps() <= before[1] + 3


def test_libraries_are_told_apart_though_numbers_of_files_are_used_again(file: Path):
    """The system's loader goes by names."""
    other = cnndsl.compile(TEXT.replace("fc(5)", "fc(7)"), "cpu", seed=0)
    first = cnndsl.load(file)
    for _ in range(3):
        assert cnndsl.load(file)(IMAGE).shape == (2, 5)
        assert other(IMAGE).shape == (2, 7)
    assert first(IMAGE).shape == (2, 5)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_computes_the_same(file: Path, expected: Array, again: Callable[[Any], Any]):
    module = cnndsl.load(file, threads=1)
    module(IMAGE)
    copied = again(module)
    np.testing.assert_array_equal(copied(IMAGE), expected)
    assert copied.weight_bytes == module.weight_bytes
    assert (copied.inputs, copied.metadata) == (module.inputs, module.metadata)
    parameters = module._artefact.packing.parameters()
    module.set_weights({name: np.ones(parameters[name].shape) for name in parameters})
    assert not np.array_equal(module(IMAGE), expected)
    np.testing.assert_array_equal(copied(IMAGE), expected)


def test_what_becomes_of_the_file_does_not_matter(file: Path, expected: Array, tmp_path: Path):
    path, other = tmp_path / "used.cnnmod", tmp_path / "other.cnnmod"
    path.write_bytes(file.read_bytes())
    cnndsl.compile(TEXT, "cpu", seed=1).save(other)
    module = cnndsl.load(path)
    path.write_bytes(other.read_bytes())
    np.testing.assert_array_equal(module(IMAGE), expected)
    assert not np.array_equal(cnndsl.load(path)(IMAGE), expected)
    path.write_bytes(b"")
    np.testing.assert_array_equal(module(IMAGE), expected)


@pytest.mark.parametrize(
    "change",
    [
        "program.arena=1",
        "program.arena=-1",
        "program.arena=1000000",
        "program.batch=-1",
        "program.batch=0",
        "program.batch=2",
        "inputs.0.2=3",
        "outputs.0.2=3",
        "program.features=[]",
        "program.layers=[]",
        "program.tensors.0.offset=1000000",
        "program.tensors.0.offset=-1",
        "program.tensors.0.after=99",
        "program.tensors.0.strides.0=-8",
        "program.tensors.0.channels=1000",
        "inputs=[]",
        "inputs.0.1=[1, 1, 1]",
        "inputs.0.1=[3, 16, 17]",
        "inputs.0.1=[-3, -16, 16]",
        "outputs=[]",
        "outputs.0.1=[1]",
        "outputs.0.1=[6]",
    ],
)
def test_what_a_manifest_says_is_compared_with_the_code(file: Path, tmp_path: Path, change: str):
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    path, _, value = change.partition("=")
    *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
    place = manifest
    for key in way:
        place = place[key]
    place[last] = json.loads(value)
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(tmp_path / "lie.cnnmod", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(CnnError, match=r"damaged|not what its manifest says") as caught:
        call_as_declared(cnndsl.load(tmp_path / "lie.cnnmod"))
    assert caught.value.diagnostics[0].code == "E0603"


def test_nothing_of_tvm_is_needed(file: Path, tmp_path: Path, expected: Array):
    np.savez(tmp_path / "arrays.npz", image=IMAGE, expected=expected)
    program = f"""
import sys
sys.modules["tvm"] = sys.modules["tvm_ffi"] = None
import cnndsl, numpy as np
arrays = np.load({str(tmp_path / "arrays.npz")!r})
module = cnndsl.load({str(file)!r})
np.testing.assert_array_equal(module(arrays["image"]), arrays["expected"])
try:
    cnndsl.compile("network n {{ input x [3, 4, 4]\\n relu }}", "cpu")
except cnndsl.CnnError as error:
    assert "pip install" in str(error)
else:
    raise SystemExit("compiled without a compiler")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_inspect_runs_no_code_of_a_module(file: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(content: bytes) -> None:
        raise AssertionError("native code is loaded")

    monkeypatch.setattr(runtime, "_open", refuse)
    assert CliRunner().invoke(commands, ["inspect", str(file)]).exit_code == 0
    module = cnndsl.load(file)
    with pytest.raises(AssertionError, match="is loaded"):
        module(IMAGE)


def test_code_is_loaded_from_memory(
    file: Path, expected: Array, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    np.testing.assert_array_equal(cnndsl.load(file)(IMAGE), expected)


def test_without_such_memory_the_folder_of_temporary_files_is_named(
    file: Path, expected: Array, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delattr(os, "memfd_create")
    np.testing.assert_array_equal(cnndsl.load(file)(IMAGE), expected)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(CnnError, match=rf"{tmp_path}/none.*\n.*TMPDIR") as caught:
        cnndsl.load(file)(IMAGE)
    assert caught.value.diagnostics[0].code == "E0725"


def test_no_room_for_object_code_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python would write it cut off.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(CnnError, match=rf"{tmp_path}: File too large\n.*TMPDIR"):
            cnndsl.compile(TEXT, "cpu", seed=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_the_compiler_works_where_there_is_room(monkeypatch: pytest.MonkeyPatch):
    """Python passes over a folder of temporary files that cannot be written; so has `cc`."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    monkeypatch.setenv("TMPDIR", "/proc")
    assert cnndsl.compile(TEXT, "cpu", seed=0)(IMAGE).shape


def test_a_compilation_that_is_told_to_end_leaves_nothing(tmp_path: Path):
    folder, network = tmp_path / "temporary", tmp_path / "net.cnn"
    folder.mkdir()
    network.write_text(TEXT)
    output = tmp_path / "net.cnnmod"
    command = ["compile", str(network), "--target", "cpu", "--seed", "0", "-o", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "cnndsl", *command],
        env=os.environ | {"TMPDIR": str(folder), "CNNDSL_CACHE": "off"},
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(folder.glob("cnndsl-*")):
        time.sleep(0.01)
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert list(folder.iterdir()) == []
    assert not output.exists()
