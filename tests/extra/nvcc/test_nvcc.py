"""Device code from the real compiler: needs nvcc, ptxas and nvdisasm (`make test-nvcc`)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from unittest.mock import ANY

import pytest

import cnndsl
from benchmarks.cuda_zoo import TENSOR, compile_form
from cnndsl.backends.cuda import BACKEND, tiles, toolchain
from cnndsl.backends.cuda.disassembly import machine_products
from cnndsl.backends.cuda.kernel import kernel_text
from cnndsl.backends.cuda.kernels import candidates, choose
from cnndsl.backends.cuda.lower import lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.backends.cuda.objects import make_code
from cnndsl.backends.cuda.source import Source, kernels
from cnndsl.backends.cuda.toolchain import cubin_arch
from cnndsl.cli.main import main
from cnndsl.ir.graph import Graph
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.layers import Built
from tests.cuda.test_variants import forms_graph

NETWORKS = [
    ("resnet18", "f16", "sm_90"),
    ("lenet5", "f32", "sm_80"),
    ("lenet5", "tf32", "sm_120"),
]

SAMPLE = [
    ("alexnet_grouped", "f32", 1),
    ("mobilenet_v2", "f16", 32),
    ("googlenet", "f16", 1),
    ("mobilenet_v1", "f16", 32),
    ("resnet20_cifar", "f32", 32),
    ("resnext50_32x4d", "f16", 1),
    ("shufflenet_v1_g3_1x", "f32", 1),
    ("squeezenet1_1", "f32", 32),
    ("unet", "f32", 32),
    ("vgg16", "f32", 1),
]


@pytest.mark.parametrize(("network", "precision", "arch"), NETWORKS)
def test_networks_become_device_code(network: str, precision: str, arch: str):
    module = cnndsl.compile(network, "cuda", seed=0, precision=precision, arch=arch)
    assert isinstance(module, CudaModule)
    assert {cubin_arch(cubin) for cubin in module.cubins.values()} == {arch}
    assert {kernel.spills for kernel in module.kernels} == {0}
    for kernel in module.kernels:
        assert (kernel.products > 0) == kernel.name.startswith("gemm"), kernel.name
        assert kernel.registers > 0


@pytest.mark.parametrize(("network", "precision", "batch"), SAMPLE)
def test_a_sample_of_the_zoo_compiles(network: str, precision: str, batch: int):
    row = compile_form(network, precision, batch, "sm_90")
    assert row.fine
    assert row.kernels > 0
    assert row.plain == 0


def test_compiled_kernels_come_from_the_cache(monkeypatch: pytest.MonkeyPatch):
    first = compile_form("lenet5", "f16", 2, "sm_90")
    assert compile_form("lenet5", "f16", 2, "sm_90") == replace(first, built=0, seconds=ANY)
    monkeypatch.setattr(toolchain, "find_tool", lambda name: None)
    assert compile_form("lenet5", "f16", 2, "sm_90").built == 0


def test_progress_counts_kernels():
    told: list[tuple[str, int, int]] = []
    options = {"seed": 0, "progress": lambda *step: told.append(step)}
    module = cnndsl.compile("lenet5", "cuda", **options)
    assert isinstance(module, Built)
    assert module.build
    assert told[-1] == ("compiling", module.build.functions, module.build.functions)


def test_kernels_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = str(tmp_path / "net.cnnmod")
    assert main(["compile", "lenet5", "--target", "cuda", "--seed", "0", "-o", path]) == 0
    capsys.readouterr()
    assert main(["inspect", path, "--kernels"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["name", "launches", "threads", "registers"]
    assert any(row.startswith("sgemm") for row in rows)
    assert main(["inspect", path, "--source"]) == 0
    assert "__global__" in capsys.readouterr().out


def test_tiles_of_warpgroups_neither_spill_nor_wait_for_one_another():
    program = lower(_resnet50(), 32, find_machine("sm_90", "f16"))
    wide = [step.call for step in program.steps if step.kernel.constants.get("TAPS") == 9]
    joined = [step.call for step in program.steps if len(step.call.inputs) > 1]
    sources = {}
    for call, tile, split in product((wide[-1], joined[-1]), tiles.WARPGROUPS, (1, 2, 4)):
        variant = f"{tile.unit} {tile.rows}x{tile.columns}/{split}"
        name, text = kernel_text(call, choose(call, variant))
        sources[name] = Source(text, "sm_90a")
    assert len(sources) == 2 * 3 * len(tiles.WARPGROUPS)
    code, _ = make_code(sources)
    for made in code.values():
        assert cubin_arch(made.cubin) == "sm_90a"
        assert made.resources.products >= 4
        assert made.resources.spills == 0
        assert not made.resources.serialised


@pytest.mark.parametrize(("arch", "precision"), [("sm_80", "f32"), ("sm_90", "f16")])
def test_kernels_to_choose_from_do_not_spill(arch: str, precision: str):
    graph = forms_graph(1)
    program = lower(graph, 32, find_machine(arch, precision))
    sources, counts = {}, set()
    for step in program.steps:
        offered = [k for k in candidates(step.call) if k.family == step.kernel.family]
        texts = dict(kernel_text(step.call, kernel) for kernel in offered)
        sources |= {name: Source(text, arch) for name, text in texts.items()}
        counts.add((step.kernel.family, len(texts)))
    assert counts >= {("elementwise", 9), ("reduce", 12), ("groupwise", 6), ("grouped", 6)}
    code, _ = make_code(sources)
    assert [name for name, made in code.items() if made.resources.spills] == []


def _resnet50() -> Graph:
    return optimise(cnndsl.parse("resnet50").graph, fusions=BACKEND.fusions)[0]


@pytest.mark.parametrize(("batch", "by_warpgroups"), [(1, 0), (32, 50)])
def test_resnet50_in_halves_multiplies_on_tensor_cores_in_machine_code(
    batch: int, by_warpgroups: int
):
    program = lower(_resnet50(), batch, find_machine("sm_90", "f16"))
    products = [step for step in program.steps if step.kernel.family in TENSOR]
    assert len(products) == 54
    wgmma = [step.symbol for step in products if step.kernel.family == "wgmma"]
    assert len(wgmma) >= by_warpgroups
    sources = kernels(products)
    code, _ = make_code(sources)
    assert all(made.resources.spills == 0 for made in code.values())
    assert not any(made.resources.serialised for made in code.values())
    found = machine_products({name: made.cubin for name, made in code.items()})
    assert found.keys() == code.keys()
    assert all(found.values())
    for name in wgmma:
        assert sources[name].arch == cubin_arch(code[name].cubin) == "sm_90a"
        assert found[name] == code[name].resources.products
