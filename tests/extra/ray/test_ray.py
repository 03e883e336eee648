"""A local cluster of Ray finds what one process finds, whatever happens to its workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.distributed import spread
from tests.evaluation.support import module, photos

WORKERS = 3

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray warns of itself


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=WORKERS, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


def workers() -> list[int]:
    """The processes of Ray that judge images."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::") and b"MapWorker" in command:
            found.append(int(place.name))
    return found


def test_a_cluster_finds_the_same_also_if_a_worker_is_killed(tmp_path: Path) -> None:
    photos(tmp_path / "all", [(10, 12), (16, 11)], per_class=100)
    (tmp_path / "all" / "class1" / "broken.png").write_bytes(b"no image")
    models = [module(), module(1)]
    seen: list[tuple[int, int]] = []
    killed: list[int] = []

    def progress(_: str, done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) == 2:
            killed.extend(workers())
            os.kill(killed[0], signal.SIGKILL)

    one = cnndsl.evaluate(models, tmp_path / "all", crops="ten")
    many = cnndsl.evaluate(
        models, tmp_path / "all", crops="ten", ray=True, jobs=WORKERS, progress=progress
    )
    assert many.as_dict() == one.as_dict()
    assert (many.images, len(many.unreadable)) == (300, 1)
    assert len(killed) == WORKERS
    assert (len(seen), seen[-1]) == (19, (301, 301))


def squared(number: int) -> int:
    return number**2


def refused(number: int) -> int:
    if number == 5:
        raise CnnError.of("E0771", f"numbers of {number}")
    return number


def ended(number: int) -> int:
    """One piece of work ends each worker that begins it."""
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@dataclass(frozen=True)
class Start:
    """What a worker starts with."""

    function: Callable[[int], int] | None

    def __call__(self) -> Callable[[int], int]:
        if self.function is None:
            raise CnnError.of("E0601", "cannot read it")
        return self.function


def test_as_many_workers_as_there_is_room_for() -> None:
    assert sorted(spread(Start(squared), range(20))) == [n**2 for n in range(20)]
    assert sorted(spread(Start(squared), range(2), jobs=WORKERS + 4)) == [0, 1]


@pytest.mark.parametrize(
    ("function", "code"), [(None, "E0601"), (refused, "E0771"), (ended, "E0772")]
)
def test_what_is_wrong_is_told(function: Callable[[int], int] | None, code: str) -> None:
    with pytest.raises(CnnError) as error:
        list(spread(Start(function), range(10), jobs=2))
    assert [found.code for found in error.value.diagnostics] == [code]
