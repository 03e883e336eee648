"""Work that the workers of a cluster of Ray share; what a worker has that ends is done again.

The cluster is that of `RAY_ADDRESS`, or one of this machine for as long as the work takes.
"""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import cnndsl
from cnndsl.diagnostics import CnnError

Given = TypeVar("Given")
Made = TypeVar("Made")

TRIES = 4
"""How often work is begun whose worker ends: it may be the work that ends it."""


def spread(
    start: Callable[[], Callable[[Given], Made]],
    work: Sequence[Given],
    jobs: int | None = None,
    cores: int = 1,
) -> Iterator[Made]:
    """What so many workers make of all pieces of work, in any order.

    Each calls `start` once, and what this returns for each piece; all of it is pickled. Without
    `jobs` there are as many workers as the cluster has room for; each takes so many cores. Raises
    what a worker raises as a CnnError, E0773 without Ray, and E0772 if the cluster cannot go on.
    """
    ray = _ray()
    with _cluster(ray, (jobs or 1) * cores):
        jobs = jobs or max(1, int(ray.cluster_resources().get("CPU", 1)) // cores)
        rows = ray.data.from_items(
            [{"given": pickle.dumps(piece)} for piece in work], override_num_blocks=len(work)
        )
        started = ray.put(pickle.dumps((cnndsl.__version__, start)))
        with warnings.catch_warnings(action="ignore"):
            found = rows.map(
                Worker,
                fn_constructor_args=([started],),
                compute=ray.data.ActorPoolStrategy(size=min(jobs, len(work))),
                num_cpus=cores,
                max_task_retries=TRIES - 1,
            )
        try:
            for row in found.iter_rows():
                made = pickle.loads(row["made"])  # by a worker of our own
                if isinstance(made, CnnError):
                    raise made
                yield made
        except ray.exceptions.RayError as error:
            raise _failed(error) from None


class Worker:
    """A process of Ray: what it makes, or the CnnError that keeps it from that."""

    def __init__(self, references: Sequence[Any]):
        import ray

        version, start = pickle.loads(ray.get(references[0]))
        self._make: Callable[[Any], Any] | CnnError
        try:
            if version != cnndsl.__version__:
                told = f"a worker has cnndsl {cnndsl.__version__}, this machine {version}"
                raise CnnError.of("E0772", told, hint="install the same version on all machines")
            self._make = start()
        except CnnError as error:
            self._make = error

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """What is made of a piece of work."""
        made: Any = self._make
        if not isinstance(made, CnnError):
            try:
                made = made(pickle.loads(row["given"]))
            except CnnError as error:
                made = error
        return {"made": pickle.dumps(made)}


@contextmanager
def _cluster(ray: Any, cores: int) -> Iterator[None]:
    """A connection to the cluster, which ends with a local one if there was none before."""
    if ray.is_initialized():
        yield
        return
    here = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": max(cores, os.cpu_count() or 1)}
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        ray.init(log_to_driver=False, configure_logging=False, include_dashboard=False, **here)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _failed(error) from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    for name, level in (("", logging.WARNING), ("._internal.progress", logging.ERROR)):
        logging.getLogger(f"ray.data{name}").setLevel(level)
    try:
        yield
    finally:
        ray.shutdown()


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        hint = "install it: pip install 'cnndsl[ray]'"
        raise CnnError.of("E0773", "Ray is not installed", hint=hint) from None
    return ray


def _failed(error: BaseException) -> CnnError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return CnnError.of("E0772", f"Ray cannot go on: {lines[-1].strip()[:200]}")
