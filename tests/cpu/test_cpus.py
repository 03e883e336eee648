"""Machines that are not this one: their triples, their CPUs, and modules that are made for them."""

from __future__ import annotations

import shutil

import pytest

import cnndsl
from cnndsl.backends.cpu.cpus import CPUS, Triple
from cnndsl.backends.cpu.machine import find_machine
from cnndsl.diagnostics import CnnError

TEXT = "network n {\n    input x [4]\n    fc(3)\n}\n"
LANES = {
    ("aarch64-linux-gnu", "native"): (4, 32),
    ("arm64-apple-macos", "apple-m1"): (4, 32),
    ("arm-linux-gnueabihf", "native"): (4, 16),
    ("riscv64-linux-gnu", "native"): (1, 32),
    ("riscv64-linux-gnu", "sifive-x280"): (4, 32),
    ("x86_64-linux-musl", "x86-64-v2"): (4, 16),
    ("x86_64-linux-musl", "x86-64-v3"): (8, 16),
    ("wasm32", "native"): (4, 14),
}


@pytest.mark.parametrize(("triple", "cpu"), LANES)
def test_vectors_follow_from_triple_and_cpu(triple: str, cpu: str):
    machine = find_machine(cpu, triple)
    assert (machine.lanes, machine.registers) == LANES[triple, cpu]


def test_llvm_knows_the_cpus_of_the_table():
    triples = ("aarch64-linux-gnu", "arm-linux-gnueabihf", "riscv64-linux-gnu")
    known = set()
    for cpu in CPUS:
        for triple in triples:
            try:
                known.add(find_machine(cpu, triple).cpu)
            except CnnError:
                continue
    assert known == {*CPUS}


def test_what_is_known_of_a_cpu_enters_the_machine():
    small, large = (find_machine(cpu, "aarch64-linux-gnu") for cpu in ("cortex-a53", "neoverse-v1"))
    assert (small.issue, small.caches) == (1, (32 << 10, 128 << 10))
    assert (large.issue, large.caches) == (4, (64 << 10, 1 << 20))
    assert find_machine().issue == 2


@pytest.mark.parametrize("triple", ["aarch64", "sparc-linux-gnu", "x86_64-windows-msvc", "a b"])
def test_unknown_triples_are_errors(triple: str):
    with pytest.raises(CnnError, match="no code is made for"):
        Triple.of(triple)
    with pytest.raises(CnnError, match="E0726"):
        cnndsl.compile(TEXT, "cpu", seed=0, triple=triple)


def test_cpus_of_another_architecture_are_errors():
    with pytest.raises(CnnError, match="unknown CPU 'cortex-a76'"):
        find_machine("cortex-a76", "riscv64-linux-gnu")
    with pytest.raises(CnnError, match="a target of its own"):
        cnndsl.compile(TEXT, "cpu", seed=0, triple="wasm32")


def test_zig_has_no_c_library_of_android(monkeypatch: pytest.MonkeyPatch):
    from cnndsl.backends.cpu.codegen import compilers

    monkeypatch.setattr(compilers, "_zig", lambda: ("zig",))
    compilers.compiler_for.cache_clear()
    with pytest.raises(CnnError, match="no C compiler for aarch64-linux-android") as caught:
        compilers.compiler_for("aarch64-linux-android")
    assert "NDK" in str(caught.value.diagnostics[0].hint)


def test_without_a_compiler_for_a_triple_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    from cnndsl.backends.cpu.codegen import compilers

    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(compilers, "find_spec", lambda _: None)
    compilers.compiler_for.cache_clear()
    with pytest.raises(CnnError, match="no C compiler for riscv64-linux-gnu") as caught:
        compilers.compiler_for("riscv64-linux-gnu")
    hint = caught.value.diagnostics[0].hint
    assert hint
    assert "cnndsl[cross]" in hint
    assert "gcc-riscv64-linux-gnu" in hint
