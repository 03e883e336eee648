"""What servers do, as often as servers do it: nothing is left behind, and idling costs nothing."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.runtime.module import Array

TEXT = """
network n {{
    input image [3, 16, 16]
    conv({filters}, 3) -> relu -> conv(16, 3) -> relu -> global_avgpool -> fc(5)
}}
"""
IMAGE = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
PATIENCE = 120
pytestmark = pytest.mark.filterwarnings("ignore:.*is multi-threaded:DeprecationWarning")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("servers") / "net.cnnmod"
    cnndsl.compile(TEXT.format(filters=16), "cpu", seed=0).save(path)
    return path


def held() -> dict[str, int]:
    """Threads, maps, descriptors and kilobytes of memory of this process."""
    gc.collect()
    memory = Path("/proc/self/smaps_rollup").read_text()
    anonymous = next(line for line in memory.splitlines() if line.startswith("Anonymous:"))
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "maps": len(Path("/proc/self/maps").read_text().splitlines()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "kilobytes": int(anonymous.split()[1]),
    }


def nothing_is_left(work: Callable[[int], None], few: int, many: int) -> None:
    """Fail if the process holds more after `many` rounds than after `few`; memory may vary."""
    work(few)
    before = held()
    work(many)
    after = held()
    spare = {"threads": 0, "maps": 10, "descriptors": 0, "kilobytes": 4000}
    assert all(after[name] <= before[name] + spare[name] for name in spare), (before, after)


def test_64_callers_on_8_modules(tmp_path: Path):
    modules, expected = [], []
    for number in range(8):
        made = cnndsl.compile(TEXT.format(filters=8 + number), "cpu", seed=number)
        made.save(tmp_path / f"{number}.cnnmod")
        modules.append(cnndsl.load(tmp_path / f"{number}.cnnmod", threads=number % 3 or None))
        expected.append(made(IMAGE))
    together = threading.Barrier(64)

    def call(caller: int, rounds: int) -> int:
        together.wait(PATIENCE)
        wrong = 0
        for number in range(caller, caller + rounds):
            wrong += not np.array_equal(modules[number % 8](IMAGE), expected[number % 8])
        return wrong

    with ThreadPoolExecutor(64) as callers:

        def work(rounds: int) -> None:
            assert sum(callers.map(call, range(64), [rounds] * 64)) == 0

        nothing_is_left(work, 8, 64)


def test_10_000_callers_that_come_and_go(file: Path):
    module = cnndsl.load(file)
    expected, wrong = module(IMAGE), []

    def call() -> None:
        if not np.array_equal(module(IMAGE), expected):
            wrong.append(1)

    def work(callers: int) -> None:
        for _ in range(callers // 4):
            threads = [threading.Thread(target=call) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not wrong

    nothing_is_left(work, 400, 10_000)


def test_1_000_forks(file: Path):
    """Each child calls the module of its parent, while another thread of the parent does."""
    module, end = cnndsl.load(file), threading.Event()
    expected = module(IMAGE)

    def call() -> None:
        while not end.is_set():
            module(IMAGE)

    def work(forks: int) -> None:
        for _ in range(forks):
            assert status_of_child(lambda: np.array_equal(module(IMAGE), expected)) == 0

    caller = threading.Thread(target=call)
    caller.start()
    try:
        nothing_is_left(work, 20, 1000)
    finally:
        end.set()
        caller.join()


def status_of_child(is_right: Callable[[], bool]) -> int:
    """The exit status of a forked child, which must not hang."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if is_right() else 2
        finally:
            os._exit(status)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.001)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


def test_10_000_loads(file: Path):
    image: Array = IMAGE[:1]

    def work(loads: int) -> None:
        for _ in range(loads):
            cnndsl.load(file)(image)

    nothing_is_left(work, 100, 10_000)


def test_an_idle_module_costs_under_a_200th_of_a_core(file: Path):
    """One call a second, for ten seconds, against doing nothing."""
    module = cnndsl.load(file)
    module(IMAGE)
    cost = time.process_time()
    for _ in range(10):
        time.sleep(1)
        module(IMAGE)
    assert time.process_time() - cost < 10 * 0.005
