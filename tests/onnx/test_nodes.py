"""Exported models leave nothing to do for onnxruntime's own basic optimiser.

`python -m benchmarks.onnx_export` shows the same of every network of the zoo.
"""

from __future__ import annotations

import onnx
import pytest

import cnndsl
from benchmarks.onnx_export import difference, operators, operators_left
from cnndsl.backends.onnx.module import OnnxModule
from cnndsl.ir.graph import Graph
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators.transposed import ConvTranspose
from cnndsl.passes.pipeline import optimise
from cnndsl.runtime.backend import CompileOptions
from tests.onnx.support import BACKEND, assert_close, model_of, reference, start, then
from tests.onnx.test_operators import with_open_sizes
from tests.operators.cases import CASES, Case, parameter_values

NETWORKS = (
    "audio_1d",
    "densenet_cifar_L40_k12",
    "grouped_shuffled",
    "lenet5_paper",
    "locally_connected",
    "mobilenet_v1_050",
    "multi_size",
    "recurrent",
    "resnet20_cifar",
    "resnet56_stochastic_depth",
    "tiled",
    "volume_3d",
)

CHANGED = {
    "avgpool": ["", "-1 Pad"],
    "l2pool": ["", "-1 Pad"],
    "pixel_shuffle": ["", "-2 Concat, -1 Mul, -1 Shape, -1 Slice"],
    "parameter": ["", "-1 Concat, -1 Expand, -1 Shape, -1 Slice"],
    "constant": ["", "-1 Concat, -1 Expand, -1 Shape, -1 Slice"],
    "layer_norm": ["", "-2 Transpose"],
}
"""Padding that counts onnxruntime puts into the pooling; one open size it need not compute; for a
known batch it repeats a constant beforehand; axes of size 1 need no transposition.
"""


def exported(network: str, level: int = 2, batch: int | None = None) -> bytes:
    module = cnndsl.compile(network, seed=0, level=level, batch=batch)
    assert isinstance(module, OnnxModule)
    return module.serialized


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_no_node_to_remove(name: str):
    model = exported(name)
    assert difference(operators(model), operators_left(model)) == ""
    unoptimised = operators_left(exported(name, level=0))
    assert operators(model).total() <= unoptimised.total()


def test_a_fixed_batch_leaves_nothing_to_fold():
    for name in ("audio_1d", "lenet5_paper", "locally_connected", "tiled"):
        model = exported(name, batch=1)
        assert difference(operators(model), operators_left(model)) == ""


@pytest.mark.parametrize("name", sorted({case.operator.name for case in CASES}))
def test_operators_are_written_without_detours(name: str):
    """At known sizes, with any batch and a fixed one, and at open sizes."""
    for case in CASES:
        if case.operator.name != name:
            continue
        for graph, batch in variants(case):
            options = CompileOptions(batch=batch)
            module = BACKEND.compile(optimise(graph, fusions=())[0], case.values(), options)
            assert isinstance(module, OnnxModule)
            model = module.serialized
            change = difference(operators(model), operators_left(model))
            assert change in CHANGED.get(name, [""]), case.id


def variants(case: Case) -> list[tuple[Graph, int | None]]:
    known: list[tuple[Graph, int | None]] = [(case.graph(), None), (case.graph(), 1)]
    try:
        return [*known, (case.graph(tuple(map(with_open_sizes, case.shapes))), None)]
    except OperatorError:
        return known


def test_the_comparison_sees_what_is_removed():
    graph, x = start(3, 8, 8)
    x = then(graph, "conv", "conv", x, filters=4, kernel=3)
    x = then(graph, "bn", "bn", x)
    then(graph, "fc", "fc", x, units=2)
    graph.outputs = {"y": "fc"}
    module = BACKEND.compile(graph, parameter_values(graph, 0), CompileOptions())
    assert isinstance(module, OnnxModule)
    before, after = operators(module.serialized), operators_left(module.serialized)
    assert difference(before, after) == "-1 BatchNormalization"


@pytest.mark.parametrize(
    ("case", "form"),
    [
        ("celu", "Elu"),
        ("mish", "Mul Softplus Tanh"),
        ("softmax_sum", "Div Exp Max Mul Sub"),
        ("group_norm", "Add InstanceNormalization Mul Reshape Reshape"),
    ],
)
def test_operators_have_the_form_that_converters_know(case: str, form: str):
    """pnnx reads neither comparisons nor sums of one operand."""
    (chosen,) = [each for each in CASES if each.id == case]
    nodes = model_of(BACKEND.compile(chosen.graph(), chosen.values(), CompileOptions())).graph.node
    assert " ".join(sorted(node.op_type for node in nodes)) == form


@pytest.mark.parametrize(
    ("pads", "output_pad", "written"),
    [
        (((1, 2),), (1,), ([1, 1], [0])),
        (((1, 0),), (0,), ([1, 1], [1])),
        (((1, 1),), (1,), ([1, 1], [1])),
        (((0, 1),), (0,), ([0, 1], [0])),
    ],
)
def test_cropping_is_equal_where_it_can_be(pads, output_pad, written):
    """Four readers take no other; numpy says that the numbers stay the same."""
    op = ConvTranspose(filters=3, kernel=(4,), stride=(2,), pad=pads, output_pad=output_pad)
    case = Case("cropped", op, ((2, 5),))
    graph, values, inputs = case.graph(), case.values(), case.inputs()
    module = BACKEND.compile(graph, values, CompileOptions())
    (node,) = model_of(module).graph.node
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert (given["pads"], given["output_padding"]) == written
    assert_close(module.run(inputs)["y"], reference(graph, values, inputs)["y"])
