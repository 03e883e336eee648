"""Properties of the machine code and of the program around it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import cnndsl
from cnndsl.backends.cpu import BACKEND
from cnndsl.backends.cpu.codegen.toolchain import assembly
from cnndsl.backends.cpu.machine import find_machine
from cnndsl.backends.cpu.program.functions import kernels
from cnndsl.backends.cpu.program.lower import Program, Step, lower
from cnndsl.diagnostics import CnnError
from cnndsl.memory import validate
from cnndsl.passes.pipeline import optimise
from tests.onnx.support import start, then

NETWORKS = {
    "densenet121": "a prologue in scratch memory, concat in place",
    "mobilenet_v1": "depthwise",
    "resnet18": "Winograd",
    "se_mobilenet_v1": "squeeze and excitation",
    "shufflenet_v1_g3_1x": "uneven groups, shuffle",
}


def program(name: str, batch: int = 1) -> Program:
    net = cnndsl.parse(name, input_shapes={"image": (3, 64, 64)})
    graph, _ = optimise(net.graph, fusions=BACKEND.fusions)
    return lower(graph, batch, find_machine())


@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_need_nothing_but_the_c_library(name: str):
    """Of TVM's runtime neither memory nor threads."""
    steps = {_kinds(step): step for step in program(name).steps}
    functions = [function for unit in kernels([*steps.values()]) for function in unit.write()]
    code = assembly(functions, find_machine())
    called = set(re.findall(r"\bcall\w*\s+(\w+)", code)) - set(re.findall(r"^(\w+):", code, re.M))
    assert "cnndsl_meet" in called or "vfmadd" in code
    assert called <= {"cnndsl_meet", "memcpy", "memset"}


def _kinds(step: Step) -> tuple[object, ...]:
    """Equal for steps whose code is alike but for sizes."""
    return (step.kernel.family, *(type(part.op) for _, part in step.call.labelled()))


@pytest.mark.parametrize("cpu", ["skylake-avx512", "sapphirerapids"])
def test_no_signs_of_many_indices_are_gathered(cpu: str):
    """LLVM 22 encodes `vmovmskps` of registers from the 16th on as that of others."""
    graph, x = start(16, 9, 12)
    x = then(graph, "conv", "conv", x, filters=16, kernel=1)
    then(graph, "next", "conv", x, filters=16, kernel=3, stride=2)
    graph.outputs = {"out": "next"}
    machine = replace(find_machine(cpu), cores=2)
    units = kernels(lower(graph, 1, machine).steps)
    code = assembly([function for unit in units for function in unit.write()], machine)
    assert "vfmadd" in code
    assert "vmovmsk" not in code


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v4"])
def test_a_relu_that_keeps_nan_is_one_instruction(cpu: str):
    graph, x = start(64, 50)
    then(graph, "out", "relu", x)
    graph.outputs = {"out": "out"}
    machine = replace(find_machine(cpu), cores=2)
    units = kernels(lower(graph, 1, machine).steps)
    code = assembly([function for unit in units for function in unit.write()], machine)
    assert "vmaxps" in code
    assert "vcmp" not in code


def test_positions_counted_through_over_parts_of_unequal_size():
    """Indices that are divided twice, which TVM 0.27 cannot simplify if only one rounds to zero."""
    graph, x = start(160, 7, 7)
    x = then(graph, "conv", "conv", x, filters=960, kernel=1)
    then(graph, "next", "conv", x, filters=960, kernel=3, pad=1, groups=960)
    graph.outputs = {"out": "next"}
    machine = replace(find_machine("x86-64-v4"), cores=2, caches=(48 * 1024, 2048 * 1024))
    units = kernels(lower(graph, 1, machine).steps)
    code = assembly([function for unit in units for function in unit.write()], machine)
    assert "vfmadd" in code


def test_equal_layers_share_a_kernel():
    found = program("resnet18")
    assert len(kernels(found.steps)) < len(found.steps)


def test_concat_is_computed_in_place():
    found = program("densenet121")
    copied = [step.node for step in found.steps if "concat" in step.node]
    assert copied == []


@pytest.mark.parametrize("batch", [1, 2])
def test_the_memory_plan_holds(batch: int):
    found = program("googlenet", batch)
    validate(found.graph, found.plan, found.options)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", ["resnet20_cifar", "xception"])
def test_what_is_overwritten_lies_alike(name: str, batch: int):
    """In networks that also have joins of tensors with different halos."""
    found = program(name, batch)
    validate(found.graph, found.plan, found.options)
    joins = [step for step in found.steps if step.call.joins]
    in_place = [step for step in joins if step.call.in_place]
    assert 0 < len(in_place) < len(joins)
    for step in in_place:
        (index,) = found.plan.places[step.node].operands
        operand = found.graph.producers(found.graph[step.node])[index]
        assert found.layouts[operand.name] == found.layouts[step.node]


@pytest.mark.parametrize("cpu", ["pentium5", "pentium4"])
def test_cpus_that_are_unknown_or_of_32_bits_are_errors(cpu: str):
    with pytest.raises(CnnError, match=f"unknown CPU '{cpu}'"):
        find_machine(cpu)


def test_vector_widths_follow_from_the_cpu():
    assert find_machine("x86-64-v4").lanes == 16
    assert find_machine("x86-64-v3").lanes == 8
    assert find_machine("x86-64").lanes == 1


@pytest.mark.parametrize("cpu", ["skylake-avx512", "x86-64-v4", "znver4"])
def test_sums_stay_in_registers(cpu: str):
    """In the loops over products of a convolution whose tile leaves one register."""
    graph, x = start(728, 19, 19)
    graph.outputs = {"y": then(graph, "y", "conv", x, filters=728, kernel=1).name}
    machine = replace(find_machine(cpu), cores=2)
    steps = [step for step in lower(graph, 1, machine).steps if step.node == "y"]
    code = assembly([function for unit in kernels(steps) for function in unit.write()], machine)
    loops = [body for body in loops_of(code) if body.count("vfmadd") >= 24]
    assert loops
    assert [body for body in loops if re.search(r"zmm.*\(%rsp\)|\(%rsp\).*zmm", body)] == []


@pytest.mark.parametrize("winograd", [True, False])
def test_weights_are_asked_for_one_line_at_a_time(winograd: bool):
    """A CPU has no place to remember many at once, and would wait."""
    graph, x = start(512, 7, 7)
    graph.outputs = {"y": then(graph, "y", "conv", x, filters=512, kernel=3).name}
    machine = replace(find_machine("skylake-avx512"), cores=2, winograd=winograd)
    steps = [step for step in lower(graph, 1, machine).steps if step.node == "y"]
    assert [step.kernel.family for step in steps] == ["winograd" if winograd else "direct"]
    code = assembly([function for unit in kernels(steps) for function in unit.write()], machine)
    loops = [body for body in loops_of(code) if "vfmadd" in body and "prefetch" in body]
    assert loops
    assert [body for body in loops if re.search(r"prefetch.*\n\s*prefetch", body)] == []


def test_code_uses_only_what_the_cpu_has():
    """Though LLVM orders it for another one."""
    target = find_machine("skylake-avx512").target()
    assert {"-avx512bf16", "-avx512fp16", "-amx-tile"} <= set(target.attrs["mattr"])
    assert "-avx512f" not in target.attrs["mattr"]


@pytest.mark.parametrize("kernel", [1, 3])
def test_products_on_arm_take_a_lane_of_a_vector(kernel: int):
    """And no sum leaves its register; inputs are loaded several at a time."""
    graph, x = start(64, 28, 28)
    y = then(graph, "y", "conv", x, filters=64, kernel=kernel, pad=kernel // 2)
    graph.outputs = {"y": y.name}
    machine = replace(find_machine("cortex-a76", "aarch64-linux-gnu"), winograd=False)
    steps = [step for step in lower(graph, 1, machine).steps if step.node == "y"]
    code = assembly([function for unit in kernels(steps) for function in unit.write()], machine)
    loops = [body for body in loops_of(code) if body.count("fmla") >= 48]
    assert loops
    for body in loops:
        by_lane = re.findall(r"fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\[\d\]", body)
        assert len(by_lane) == body.count("fmla")
        assert "[sp" not in body
        assert len(re.findall(r"^\s*ld", body, re.M)) < len(by_lane) / 2


def loops_of(code: str) -> list[str]:
    """The innermost loops of assembly for x86 or Arm: from a label to the jump back to it."""
    lines = [line for line in code.splitlines() if not re.match(r"\s*(\.p2align|\.?Ltmp)", line)]
    labels = {line[:-1]: index for index, line in enumerate(lines) if re.match(r"\.LBB\w+:$", line)}
    loops = []
    for index, line in enumerate(lines):
        jump = re.match(r"\s*(?:j\w+|b\.?\w*)\s+(\.LBB\w+)", line)
        if jump and labels.get(jump[1], index) < index:
            body = lines[labels[jump[1]] + 1 : index]
            if not any(inner.startswith(".LBB") for inner in body):
                loops.append("\n".join(body))
    return loops
