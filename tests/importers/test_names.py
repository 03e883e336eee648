"""Names of modules in a model as labels and names of blocks, and weights that fit later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

import cnndsl
from cnndsl.importers.onnx.load import load
from cnndsl.importers.text import Written, written
from tests.importers.support import Array, compared, model, numbers, original, saved

WIDTHS = {"layer1": 4, "layer2": 6}
"""Channels of each stage; before the second there is a transition."""


def network(dynamo: bool) -> ModelProto:
    """A stem, two stages of two residual units, and a layer, named like a model of PyTorch."""
    steps: list[tuple[str, str]] = []
    weights: dict[str, Array] = {}

    def conv(source: str, path: str, *shape: int) -> str:
        weights[f"{path}.weight"] = numbers(*shape, seed=len(steps))
        pads = "<pads = [1,1,1,1]>" if shape[-1] == 3 else ""
        return step(f"Conv {pads} ({source}, {_short(f'{path}.weight')})", path)

    def step(text: str, path: str) -> str:
        steps.append((f"t{len(steps)} = {text}", path))
        return f"t{len(steps) - 1}"

    at = step(f"Relu ({conv('image', 'stem', 4, 3, 3, 3)})", "act")
    for stage, width in WIDTHS.items():
        if stage == "layer2":
            at = conv(at, "transition", 6, 4, 1, 1)
        for unit in (f"{stage}.0", f"{stage}.1"):
            inner = step(f"Relu ({conv(at, f'{unit}.conv1', width, width, 3, 3)})", f"{unit}.act")
            outer = conv(inner, f"{unit}.conv2", width, width, 3, 3)
            at = step(f"Relu ({step(f'Add ({outer}, {at})', unit)})", f"{unit}.act")
    weights["head.weight"] = numbers(5, 6, seed=20)
    flat = step(f"Flatten ({step(f'GlobalAveragePool ({at})', 'pool')})", "")
    steps.append((f"scores = Gemm <transB = 1> ({flat}, head_weight)", "head"))
    proto = model(
        f"(float[N,3,8,8] image) => (float[N,5] scores) {{ {' '.join(t for t, _ in steps)} }}",
        **{_short(name): array for name, array in weights.items()},
    )
    names = {_short(name): name for name in weights}
    for tensor in proto.graph.initializer:
        tensor.name = names[tensor.name]
    for index, (node, (_, path)) in enumerate(zip(proto.graph.node, steps, strict=True)):
        node.input[:] = [names.get(item, item) for item in node.input]
        describe(node, index, path, dynamo)
    return proto


def _short(name: str) -> str:
    return name.replace(".", "_")


def describe(node: Any, index: int, path: str, dynamo: bool) -> None:
    """The module of a node, as one of PyTorch's exporters writes it."""
    parts = path.split(".") if path else []
    scopes = [".".join(parts[: i + 1]) for i in range(len(parts))]
    if not dynamo:
        node.name = "/" + "/".join([*scopes, f"{node.op_type}_{index}"])
        return
    node.name = f"node_{node.op_type}_{index}"
    kinds = ["own.OwnUnit" if scope[-1:].isdigit() else "torch.nn.Module" for scope in scopes]
    for key, value in (("name_scopes", scopes), ("class_hierarchy", kinds)):
        node.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=repr(["", *value, "operation"]))


def text_of(folder: Path, *, dynamo: bool) -> Written:
    return written(load(saved(network(dynamo), folder)))


@pytest.mark.parametrize("dynamo", [False, True])
def test_modules_become_labels(dynamo: bool, tmp_path: Path) -> None:
    text = text_of(tmp_path, dynamo=dynamo).text
    unit = "own_unit" if dynamo else "basic"
    assert (
        text
        == f"""defaults conv(bias=false)

block {unit} {{ add {{ conv(channels, 3) -> relu -> conv(channels, 3) | identity }} -> relu }}

network model {{
    input image [3, 8, 8]
    stem: conv(4, 3) -> relu
    layer1: {{ {unit} -> {unit} }}
    transition: conv(6, 1)
    layer2: {{ {unit} -> {unit} }}
    global_avgpool
    output scores = head: fc(5, bias=false)
}}
"""
    )


def test_weights_of_another_training_fit_by_the_rules(tmp_path: Path) -> None:
    made = text_of(tmp_path, dynamo=True)
    other = network(dynamo=True)
    for tensor in other.graph.initializer:
        tensor.raw_data = numbers(*tensor.dims, seed=77).tobytes()
    path = saved(other, tmp_path)
    np.savez(
        tmp_path / "new.npz", **{t.name: numbers(*t.dims, seed=77) for t in other.graph.initializer}
    )
    (tmp_path / "rules.map").write_text(made.rules())
    net = cnndsl.parse(made.text)
    module = cnndsl.compile(
        net, "onnx", weights=tmp_path / "new.npz", weights_map=tmp_path / "rules.map"
    )
    image = numbers(1, 3, 8, 8)
    (wanted,) = original(path, {"image": image}).values()
    (result,) = module.run({"image": image}).values()
    assert np.abs(result - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_weights_that_are_stored_once_are_several(tmp_path: Path) -> None:
    """As PyTorch's exporter writes weights that happen to be equal."""
    text = """(float[N,4,5] x) => (float[N,4,5] y) {
        b_norm_weight = Identity (a_norm_weight)
        p = LayerNormalization (x, a_norm_weight, a_norm_bias)
        q = Relu (p)
        y = LayerNormalization (q, b_norm_weight, a_norm_bias)
    }"""
    names = {name: name.replace("_", ".") for name in ("a_norm_weight", "a_norm_bias")}
    names["b_norm_weight"] = "b.norm.weight"
    proto = model(text, a_norm_weight=numbers(5), a_norm_bias=numbers(5, seed=1))
    for node in proto.graph.node:
        node.input[:] = [names.get(item, item) for item in node.input]
        node.output[:] = [names.get(item, item) for item in node.output]
    for tensor in proto.graph.initializer:
        tensor.name = names[tensor.name]
    found = compared(saved(proto, tmp_path))
    assert {"a.norm.weight", "b.norm.weight"} <= set(found.origins.values())
    assert "layer shared" not in written(found).text


def test_modules_that_are_not_told_in_full_are_ignored(tmp_path: Path) -> None:
    proto = network(dynamo=True)
    for node in proto.graph.node:
        node.metadata_props[0].value = "['', 'a'" if node.op_type == "Relu" else "[1, 2]"
    assert "layer1" in written(load(saved(proto, tmp_path))).text  # from the weights
