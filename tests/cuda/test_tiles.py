"""The model of time: which tiles products are divided into."""

from __future__ import annotations

import pytest

import cnndsl
from cnndsl.backends.cuda import BACKEND, tiles
from cnndsl.backends.cuda.kernels import candidates, gemm
from cnndsl.backends.cuda.lower import Program, lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise


@pytest.fixture(scope="module")
def graph() -> Graph:
    return optimise(cnndsl.parse("resnet50").graph, fusions=BACKEND.fusions)[0]


def families(program: Program) -> set[str]:
    found = {step.kernel.family for step in program.steps}
    return found & set(gemm.FAMILY_OF.values())


def test_warpgroups_serve_large_batches(graph: Graph):
    machine = find_machine("sm_90", "f16")
    assert families(lower(graph, 1, machine)) == {"gemm"}
    large = lower(graph, 32, machine)
    assert "wgmma" in families(large)
    for step in large.steps:
        assert step.kernel.specific == (step.kernel.family == "wgmma")


@pytest.mark.parametrize(
    ("arch", "precision", "family"),
    [
        ("sm_80", "f16", "gemm"),
        ("sm_100", "f16", "gemm"),
        ("sm_90", "tf32", "gemm"),
        ("sm_90", "f32", "sgemm"),
    ],
)
def test_others_do_without(graph: Graph, arch: str, precision: str, family: str):
    assert families(lower(graph, 32, find_machine(arch, precision))) == {family}


def test_variants_to_tune_include_warpgroups(graph: Graph):
    program = lower(graph, 32, find_machine("sm_90", "f16"))
    steps = [step for step in program.steps if step.kernel.family in gemm.FAMILY_OF.values()]
    for step in steps:
        units = {kernel.family for kernel in candidates(step.call)}
        assert units == {"gemm", "wgmma"}


@pytest.mark.parametrize("arch", ["sm_80", "sm_86", "sm_90", "sm_100"])
@pytest.mark.parametrize("precision", ["f32", "tf32", "f16"])
def test_tiles_fit_into_shared_memory(arch: str, precision: str):
    machine = find_machine(arch, precision)
    product = tiles.Product(rows=1000, columns=256, groups=1, depth=4608)
    for tile in tiles.tiles_of(machine):
        choice = tiles.make_choice(product, tile, 1, machine)
        assert choice.shared * choice.resident <= machine.arch.shared
        assert tile.ahead(choice.stages) > 0
