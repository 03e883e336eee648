"""The runtime in C under what servers do: forks, threads, many modules, loads and unloads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.runtime.module import Array

TEXT = """
network n {
    input image [3, 16, 16]
    conv(16, 3) -> relu -> conv(16, 3) -> relu -> global_avgpool -> fc(5)
}
"""
IMAGE = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore:.*is multi-threaded:DeprecationWarning")
FORK = multiprocessing.get_context("fork")
PATIENCE = 60
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
