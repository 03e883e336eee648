"""Several processes that judge parts of the images, each with modules of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cnndsl.diagnostics import CnnError
from cnndsl.evaluation.classifier import Classifier
from cnndsl.evaluation.judge import Item, Judge
from cnndsl.evaluation.scores import Outcome, Unreadable
from cnndsl.evaluation.views import Views
from cnndsl.runtime.backend import backend
from cnndsl.runtime.processes import without_main


@dataclass(frozen=True)
class Written:
    """A judge whose modules are files of a folder.

    `modules` has of each the name of its file, its target, and the other fields of its classifier.
    """

    modules: Sequence[tuple[str, str, dict[str, Any]]]
    views: Views
    threads: int

    @classmethod
    def of(cls, judge: Judge, folder: Path, threads: int) -> Written:
        """Write the modules into a folder. Raises CnnError."""
        rows = []
        for index, one in enumerate(judge.classifiers):
            target = one.module.metadata.get("target", "onnx")
            name = f"{index}{backend(target).suffix}"
            one.module.save(folder / name)
            rest = {f.name: getattr(one, f.name) for f in fields(one) if f.name != "module"}
            rows.append((name, target, rest))
        return cls(rows, judge.views, threads)

    def judge(self, folder: Path) -> Judge:
        """The judge, its modules loaded from a folder. Raises CnnError.

        The files are our own: whom to trust was asked when the modules were opened.
        """
        found = [
            Classifier(backend(target).load(folder / name, self.threads), **rest)
            for name, target, rest in self.modules
        ]
        return Judge(found, self.views)


@dataclass(frozen=True)
class Copies:
    """Written modules with the content of their files, for other machines."""

    written: Written
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, judge: Judge, threads: int) -> Copies:
        """The modules of a judge. Raises CnnError."""
        with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
            written = Written.of(judge, Path(folder), threads)
            return cls(written, {path.name: path.read_bytes() for path in Path(folder).iterdir()})

    def __call__(self) -> Callable[[Sequence[Item]], list[Outcome | Unreadable]]:
        """What judges some images. Raises CnnError."""
        with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
            for name, content in self.files.items():
                (Path(folder) / name).write_bytes(content)
            return self.written.judge(Path(folder)).outcomes


_own: list[Judge] = []
"""The judge of this process, if it is a worker."""


def spread(
    judge: Judge, chunks: Sequence[Sequence[Item]], jobs: int, threads: int | None
) -> Iterator[list[Outcome | Unreadable]]:
    """What a judge finds of each chunk, in their order, by so many processes.

    They share the machine's cores unless `threads` says how many each takes. Raises CnnError, E0772
    if a process ends.
    """
    each = threads or max(1, (os.cpu_count() or 1) // jobs)
    with tempfile.TemporaryDirectory(prefix="cnndsl-") as folder:
        written = Written.of(judge, Path(folder), each)
        context = multiprocessing.get_context("spawn")
        given = (written, Path(folder))
        pool = ProcessPoolExecutor(jobs, context, initializer=_start, initargs=given)
        try:
            with without_main():  # map starts all processes before it gives anything
                found = pool.map(_outcomes, chunks)
            yield from found
        except BrokenProcessPool:
            message = "a process that evaluates has ended"
            hint = "it mostly means that memory ran out: fewer --jobs"
            raise CnnError.of("E0772", message, hint=hint) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(written: Written, folder: Path) -> None:
    _own[:] = [written.judge(folder)]


def _outcomes(items: Sequence[Item]) -> list[Outcome | Unreadable]:
    return _own[0].outcomes(items)
