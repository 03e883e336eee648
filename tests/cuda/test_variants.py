"""Kernels to choose from: each is right, the choice is kept, and the first is the default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends.cuda.kernel import Call, nearest
from cnndsl.backends.cuda.kernels import candidates, choose
from cnndsl.backends.cuda.lower import Step, lower
from cnndsl.backends.cuda.machine import find_machine
from cnndsl.backends.cuda.tuning.tune import choices_of_gpus
from cnndsl.backends.native.tuning import Choices, Measured
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Input
from tests.cpu.test_operators import together
from tests.cuda.emulator import Emulator
from tests.cuda.support import TOLERANCE, assert_agrees
from tests.marks import whole
from tests.onnx.support import then
from tests.operators.cases import CASES, parameter_values

FORMS = {
    "add": ("elementwise", (37, 23, 25), "add", {}),
    "subsample": ("elementwise", (37, 31, 33), "subsample", {"stride": 2}),
    "maxpool": ("pooling", (37, 31, 33), "maxpool", {"kernel": 3, "stride": 2, "pad": 1}),
    "shuffle": ("moves", (36, 19, 21), "shuffle", {"groups": 3}),
    "softmax": ("groupwise", (1000, 1, 2), "softmax", {}),
    "mean": ("reduce", (147, 9, 13), "global_avgpool", {}),
    "mean_of_few": ("reduce", (147, 2, 3), "global_avgpool", {}),
    "upwards": (
        "plain",
        (12, 9, 11),
        "conv_transpose",
        {"filters": 12, "kernel": 3, "stride": 2, "groups": 4},
    ),
    "depthwise": ("grouped", (37, 9, 21), "depthwise", {"kernel": 3}),
    "wide": ("grouped", (16, 9, 21), "depthwise", {"kernel": 7, "dilation": 2}),
    "strided": ("grouped", (37, 9, 43), "depthwise", {"kernel": 5, "stride": 2}),
    "groups": ("grouped", (48, 9, 21), "conv", {"filters": 48, "kernel": 3, "groups": 12}),
}
"""The family that serves it by default, the operand's shape, the operator, its attributes."""

COPIES = 12

KNOWN = {
    "add": ["128 threads x 1", "256 threads x 1", "64 threads x 1", "128 threads x 2",
            "256 threads x 2", "64 threads x 2", "128 threads x 4", "256 threads x 4",
            "64 threads x 4"],
    "maxpool": ["128 threads x 1", "256 threads x 1", "64 threads x 1"],
    "softmax": ["256 threads", "128 threads", "512 threads", "64 threads", "1024 threads",
                "32 threads"],
    "mean": ["256 threads / 8", "256 threads / 4", "256 threads / 16", "128 threads / 8",
             "128 threads / 4", "128 threads / 16", "512 threads / 8", "512 threads / 4",
             "512 threads / 16", "64 threads / 8", "64 threads / 4", "64 threads / 16"],
    "depthwise": ["128 threads, run 4", "128 threads, run 8", "128 threads, run 2",
                  "128 threads, run 1", "256 threads, run 4", "64 threads, run 4"],
    "wide": ["128 threads, run 1", "128 threads, run 2", "128 threads, run 4", "256 threads, run 1",
             "64 threads, run 1"],
    "strided": ["128 threads, run 2", "128 threads, run 4", "128 threads, run 1",
                "256 threads, run 2", "64 threads, run 2"],
    "groups": ["128 threads, run 4", "128 threads, run 8", "128 threads, run 2",
               "128 threads, run 1", "256 threads, run 4", "64 threads, run 4"],
}  # fmt: skip
"""What some forms have to choose from in f16, but for products, which two have besides."""


def forms_graph(copies: int) -> Graph:
    """Each form so many times, each time the same call on an input of its own."""
    graph = Graph("variants")
    for name, (_, shape, operator, attributes) in FORMS.items():
        for copy in range(copies):
            x = graph.add(f"{name}.{copy}_x", Input(shape), [])
            graph.inputs.append(x.name)
            operands = [x, x] if operator == "add" else [x]
            made = then(graph, f"{name}.{copy}", operator, *operands, **attributes)
            graph.outputs[f"{name}.{copy}_y"] = made.name
    return graph


def steps_of(graph: Graph, precision: str, variant_of: Callable[[Call], str | None]) -> list[Step]:
    """The launches that compute forms, without those that convert inputs and outputs."""
    program = lower(graph, 2, find_machine("sm_90", precision), variant_of)
    return [step for step in program.steps if step.node in graph]


def form_of(step: Step) -> str:
    """The name of the form that a launch computes."""
    return step.node.split(".")[0]


def names_of(call: Call) -> list[str]:
    """The variants for a call, of the products only the first."""
    return [kernel.variant for kernel in islice(candidates(call), COPIES)]


def in_turn() -> Callable[[Call], str]:
    """Of equal calls the first takes the first variant, the next the second and so on."""
    seen: Counter[str] = Counter()

    def variant_of(call: Call) -> str:
        names = names_of(call)
        seen[repr(call)] += 1
        return names[(seen[repr(call)] - 1) % len(names)]

    return variant_of


@pytest.mark.parametrize("precision", [whole("f32"), "f16"])
def test_every_variant_is_right(
    emulator: Emulator, precision: str, monkeypatch: pytest.MonkeyPatch
):
    graph = forms_graph(COPIES)
    steps = steps_of(graph, precision, in_turn())
    taken = {(form_of(step), step.kernel.variant) for step in steps}
    for step in steps_of(forms_graph(1), precision, in_turn()):
        assert step.kernel.family == FORMS[form_of(step)][0]
        assert {(form_of(step), name) for name in names_of(step.call)} <= taken
    variant_of = in_turn()
    monkeypatch.setattr(Choices, "variant_of", lambda _, call: variant_of(call))
    values = parameter_values(graph, 1)
    rng = np.random.default_rng(2)
    inputs = {name: rng.normal(size=(2, *graph[name].type.shape)) for name in graph.inputs}
    module = emulator.module(graph, values, 2, precision)
    assert {step.symbol for step in steps} <= set(module.cubins)
    assert_agrees(module, graph, values, inputs, TOLERANCE[precision])


def test_what_there_is_to_choose_from():
    for step in steps_of(forms_graph(1), "f16", lambda call: None):
        known = KNOWN.get(form_of(step))
        if known:
            products = [name for name in names_of(step.call) if "mma" in name]
            assert names_of(step.call) == known + products
            assert bool(products) == (form_of(step) in ("wide", "groups"))


def test_no_two_variants_have_the_same_name():
    graph, _ = together(list(CASES))
    for step in lower(graph, 1, find_machine("sm_90", "f16")).steps:
        names = [kernel.variant for kernel in candidates(step.call)]
        assert step.kernel.variant == names[0]
        assert len(set(names)) == len(names)


def test_a_kept_choice_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path))
    graph = forms_graph(1)
    default = steps_of(graph, "f16", choices_of_gpus().variant_of)
    for step in default:
        names = names_of(step.call)
        measured = Measured(tuple(names), names[0], 1.0, names[-1], 0.5)
        choices_of_gpus().keep(step.call, measured)
    kept = steps_of(graph, "f16", choices_of_gpus().variant_of)
    for before, after in zip(default, kept, strict=True):
        assert before.kernel.variant == names_of(before.call)[0]
        assert after.kernel.variant == names_of(before.call)[-1]
        assert after.symbol != before.symbol
    other = steps_of(graph, "f32", choices_of_gpus().variant_of)
    assert [step.kernel.variant for step in other] == [names_of(step.call)[0] for step in other]


def test_a_name_that_there_is_not_leaves_the_default():
    for step in steps_of(forms_graph(1), "f16", lambda call: "32 threads x 3"):
        assert step.kernel == choose(step.call)


def test_the_nearest_sizes_come_first():
    assert nearest(4, (8, 4, 2, 1)) == [4, 8, 2, 1]
    assert nearest(64, (64, 128, 256, 512)) == [64, 128, 256, 512]
