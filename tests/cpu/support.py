"""How the tests of the cpu target compile and compare."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cpu.build import compile_known, compile_shared
from cnndsl.backends.cpu.load_tvm import load_tvm
from cnndsl.backends.cpu.machine import CACHES, Machine, find_machine, machine_for
from cnndsl.backends.cpu.module import CpuModule
from cnndsl.backends.cpu.open import OpenCpuModule, open_artefact
from cnndsl.backends.cpu.options import CpuOptions
from cnndsl.backends.numpy import run_graph
from cnndsl.ir.graph import Graph
from cnndsl.runtime.backend import CompileOptions
from cnndsl.runtime.module import Array

EXACT = 1e-5
"""Largest error, relative to the largest output, of kernels that compute sums as they stand."""
WINOGRAD = 1e-4
OPTIMISE = "CNNDSL_TEST_OPTIMISE"
"""The variable that has all code optimised by LLVM, in three times the time."""


class Unoptimised(Machine):
    """A machine for which LLVM compiles in a third of the time: right code, but slow."""

    def target(self) -> Any:
        """As of the machine, without LLVM's optimisations."""
        target = load_tvm().target.Target({**super().target().export(), "opt-level": 0})
        return target.with_host(target)


def leave_unoptimised(patch: pytest.MonkeyPatch) -> None:
    """Let all code be compiled as for `Unoptimised` machines, unless all is asked to be optimised.

    This target's own tests compile the code that users get, others need only that it is right.
    """

    def found(graph: Graph, options: CpuOptions, machine: Machine | None = None) -> Machine:
        return Unoptimised(**vars(machine_for(graph, options, machine)))

    if OPTIMISE not in os.environ:
        patch.setattr("cnndsl.backends.cpu.build.machine_for", found)


def machine(extension: str) -> Machine:
    """Two cores of this CPU with common caches and another vector width.

    LLVM splits or widens the vectors that do not fit.
    """
    return replace(find_machine(), extension=extension, cores=2, caches=CACHES)


def compiled(
    graph: Graph,
    values: Mapping[str, Array],
    *,
    batch: int | None = None,
    threads: int | None = 2,
    extension: str | None = None,
    target: Machine | None = None,
) -> CpuModule:
    """The module of a graph, for this machine or one of a vector width, or for `target`.

    What is compiled for a vector width is not optimised, unless all is asked to be.
    """
    options = CompileOptions(batch=batch, threads=threads)
    if extension:
        target = machine(extension)
        if OPTIMISE not in os.environ:
            target = Unoptimised(**vars(target))
    return compile_known(graph, values, options, target)


def opened(
    graph: Graph, values: Mapping[str, Array], nominal: Mapping[str, int], target: Machine
) -> OpenCpuModule:
    """The module of a graph of open sizes, with kernels for all of them."""
    options = CpuOptions(threads=2)
    kernels = compile_shared(graph, options, nominal, target)
    shared = kernels.packing, kernels.described, kernels.files
    return OpenCpuModule(open_artefact(graph, values, options, *shared), 2)


def assert_agrees(
    module: CpuModule,
    graph: Graph,
    values: Mapping[str, Array],
    inputs: Mapping[str, Array],
    tolerance: float = EXACT,
) -> None:
    """Every output within the tolerance of the float64 reference.

    What a network makes of float32's rounding, as numpy's float32 shows it, comes on top.
    """
    expected = run_graph(graph, values, inputs)
    rounded = run_graph(graph, values, inputs, "float32") if tolerance > EXACT else expected
    actual = module.run(inputs)
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        assert actual[name].dtype == np.float32
        assert actual[name].shape == wanted.shape
        scale = max(np.abs(wanted).max(), 1e-30)
        allowed = tolerance * scale + 8 * np.abs(rounded[name] - wanted).max()
        assert np.abs(actual[name] - wanted).max() <= allowed, name
