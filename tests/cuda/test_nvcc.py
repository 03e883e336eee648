"""Device code from the real compiler. These tests exist only where nvcc is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

import cnndsl
from cnndsl.backends.cuda.module import CudaModule
from cnndsl.backends.cuda.toolchain import cubin_arch, find_tool
from cnndsl.cli.main import main

NETWORKS = [
    ("resnet18", "f16", "sm_90"),
    ("lenet5", "f32", "sm_80"),
    ("lenet5", "tf32", "sm_120"),
]

if find_tool("nvcc") and find_tool("ptxas"):

    @pytest.mark.parametrize(("network", "precision", "arch"), NETWORKS)
    def test_networks_become_device_code(network: str, precision: str, arch: str):
        module = cnndsl.compile(network, "cuda", seed=0, precision=precision, arch=arch)
        assert isinstance(module, CudaModule)
        assert {cubin_arch(cubin) for cubin in module.cubins.values()} == {arch}
        assert {kernel.spills for kernel in module.kernels} == {0}
        for kernel in module.kernels:
            assert (kernel.products > 0) == kernel.name.startswith("gemm"), kernel.name
            assert kernel.registers > 0

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
