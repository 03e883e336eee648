"""The reference backend's module, its file, and graphs as JSON."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.backends.numpy import BACKEND, run_graph
from cnndsl.backends.numpy.options import ReferenceOptions
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.expressions import Apply, Constant, Parameter
from cnndsl.ir.graph import Auxiliary, Graph
from cnndsl.ir.operators import Add, BatchNorm, Conv, Input, MaxPool, Relu, Scale
from cnndsl.ir.serialise import from_json, to_json
from cnndsl.runtime.backend import CompileOptions, backend
from tests.operators.cases import CASES, Case, apply, parameter_values


def network() -> Graph:
    """Open sizes, a weight expression used twice, an auxiliary output, two outputs."""
    graph = Graph("net")
    height, width = OpenDim.symbol("H"), OpenDim.symbol("W")
    image = graph.add("image", Input((2, height * 2, width)), [])
    mask = graph.add("mask", Input((2, height * 2, width)), [])
    weight = Parameter("a.weight", (2, 2, 3, 3), "he")
    scaled = Apply("multiply", (weight, Constant(0.5)), weight.shape)
    conv = Conv(2, (3,), bias=False)
    first = graph.add("a", conv, [image], {"weight": scaled})
    second = graph.add("b", conv, [mask], {"weight": scaled})
    joined = apply(graph, "sum", Add(), [first, second, first])
    normal = apply(graph, "bn", BatchNorm(), [joined])
    apply(graph, "head", Relu(), [normal])
    pooled = apply(graph, "pool", MaxPool((3,), stride=(2,)), [normal])
    apply(graph, "scaled", Scale((2.0, 3.0)), [pooled])
    graph.inputs = ["image", "mask"]
    graph.outputs = {"y": "scaled", "map": "sum"}
    graph.auxiliaries = {"extra": Auxiliary("head", 0.3)}
    graph.stages = [("stem", "sum")]
    graph.scopes = {"": "net"}
    return graph


GRAPH = network()
VALUES = parameter_values(GRAPH, 1)
METADATA = {"network": "net", "version": "0"}
RNG = np.random.default_rng(0)
IMAGES = {name: RNG.normal(size=(3, 2, 6, 5)) for name in GRAPH.inputs}


def saved(path: Path, **options: Any) -> bytes:
    BACKEND.compile(GRAPH, VALUES, ReferenceOptions(metadata=METADATA, **options)).save(path)
    return path.read_bytes()


def test_found_through_its_entry_point() -> None:
    assert backend("reference") is BACKEND


def test_module_runs_by_name_and_by_sample() -> None:
    module = BACKEND.compile(GRAPH, VALUES, ReferenceOptions(dtype="float64", metadata=METADATA))
    results = module(**IMAGES)
    assert isinstance(results, dict)
    assert {name: array.shape for name, array in results.items()} == {
        "y": (3, 2, 2, 2),
        "map": (3, 2, 6, 5),
    }
    whole = run_graph(GRAPH, VALUES, IMAGES, keep=["bn", "scaled", "sum"])
    np.testing.assert_array_equal(results["y"], whole["scaled"])
    np.testing.assert_array_equal(results["map"], whole["sum"])
    np.testing.assert_allclose(
        whole["scaled"][:, 1, 0, 0], 3 * whole["bn"][:, 1, :3, :3].max((1, 2)), rtol=1e-15
    )
    single = module(IMAGES["image"][0], IMAGES["mask"][0])
    assert isinstance(single, dict)
    np.testing.assert_allclose(single["y"], results["y"][0], rtol=1e-12)


def test_float32_is_the_default() -> None:
    results = BACKEND.compile(GRAPH, VALUES, CompileOptions()).run(IMAGES)
    assert {array.dtype for array in results.values()} == {np.dtype(np.float32)}


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(CnnError) as caught:
        yield
    assert caught.value.diagnostics[0].code == code


def test_wrong_inputs() -> None:
    module = BACKEND.compile(GRAPH, VALUES, CompileOptions(batch=2))
    image = np.zeros((2, 2, 6, 5))
    with refused("E0604"):
        module(image, np.zeros((2, 2, 8, 5)))
    with refused("E0604"):
        module(image)
    with refused("E0604"):
        module(np.zeros((3, 2, 6, 5)), np.zeros((3, 2, 6, 5)))
    with refused("E0604"):
        module(np.zeros((2, 2, 6, 2)), np.zeros((2, 2, 6, 2)))
    with refused("E0710"):
        BACKEND.compile(GRAPH, VALUES, ReferenceOptions(dtype="float16"))


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "net.cnnref"
    first = saved(path, dtype="float64", batch=3)
    assert saved(tmp_path / "again.cnnref", dtype="float64", batch=3) == first
    loaded = BACKEND.load(path)
    assert (loaded.metadata, loaded.dtype, loaded.batch) == (METADATA, "float64", 3)
    assert [port.name for port in loaded.outputs] == ["y", "map"]
    expected = run_graph(GRAPH, VALUES, IMAGES)
    for name, array in loaded.run(IMAGES).items():
        np.testing.assert_array_equal(array, expected[name])
    loaded.save(path)
    assert path.read_bytes() == first
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_json_round_trip(case: Case) -> None:
    graph = case.graph()
    text = json.dumps(to_json(graph))
    again = from_json(json.loads(text))
    assert json.dumps(to_json(again)) == text
    assert again["y"].op == graph["y"].op
    assert again["y"].type == graph["y"].type
    assert again["y"].params == graph["y"].params


def test_json_keeps_the_whole_graph() -> None:
    again = from_json(json.loads(json.dumps(to_json(GRAPH))))
    for name in ("name", "inputs", "outputs", "auxiliaries", "stages", "scopes"):
        assert getattr(again, name) == getattr(GRAPH, name)
    assert [node.name for node in again.nodes()] == [node.name for node in GRAPH.nodes()]
    for node in GRAPH.nodes():
        assert again[node.name].type == node.type
    assert again["a"].params["weight"] is again["b"].params["weight"]


def test_deep_shared_expressions_stay_small() -> None:
    expression: Any = Parameter("w", (2,), "zeros")
    for _ in range(3000):
        expression = Apply("add", (expression, expression), (2,))
    graph = Graph("deep")
    x = graph.add("x", Input((2, 2)), [])
    params = {"factor": expression, "shift": Constant((0.0, 0.0))}
    graph.add("y", Scale((1.0,)), [x], params)
    graph.inputs, graph.outputs = ["x"], {"y": "y"}
    data = to_json(graph)
    assert len(data["expressions"]) == 3002
    assert to_json(from_json(data)) == data


def mutations(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside nested lists and dicts."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items:
        yield value, key
        if isinstance(child, dict | list):
            yield from mutations(child)


STRANGE = [None, -1, 0, 2.5, 10**30, "", "x", [], {}, [[]], True, float("nan"), ["a", 1], "sum"]


@settings(max_examples=300)
@given(st.integers(0, 10**6), st.sampled_from(STRANGE), st.booleans())
def test_changed_json_is_refused_or_a_graph(place: int, strange: Any, drop: bool) -> None:
    data = json.loads(json.dumps(to_json(GRAPH)))
    places = list(mutations(data))
    container, key = places[place % len(places)]
    if drop:
        del container[key]
    else:
        container[key] = copy.deepcopy(strange)
    try:
        graph = from_json(data)
    except ValueError:
        return
    assert to_json(from_json(to_json(graph))) == to_json(graph)


def archive(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return buffer.getvalue()


def test_hostile_files(tmp_path: Path) -> None:
    path = tmp_path / "net.cnnref"
    good = saved(path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(parts["manifest.json"])
    short = {name: parts[name] for name in ("manifest.json", "graph.json")}
    hostile = [
        b"",
        good[: len(good) // 2],
        good[:-10],
        good.replace(b"he", b"hf", 1),
        pickle.dumps(parts),
        archive({}),
        archive(short),
        archive(parts, zipfile.ZIP_DEFLATED),
        archive(parts | {"weights.safetensors": parts["weights.safetensors"][:-1]}),
        archive(parts | {"weights.safetensors": b"\xff" * 64}),
        archive(parts | {"weights.safetensors": b"\x02" + b"\0" * 7 + b"{}"}),
        archive(parts | {"graph.json": b"[" * 100_000}),
        archive(parts | {"graph.json": b"\xff\xfe"}),
        archive(parts | {"graph.json": parts["graph.json"].replace(b'"multiply"', b'"system"')}),
        archive(parts | {"graph.json": parts["graph.json"].replace(b'"he"', b'"')}),
        *(
            archive(parts | {"manifest.json": json.dumps(manifest | change).encode()})
            for change in (
                {"format": 2},
                {"dtype": "object"},
                {"batch": -1},
                {"metadata": [1]},
                {"metadata": {"network": 1}},
            )
        ),
    ]
    for index, content in enumerate(hostile):
        path.write_bytes(content)
        with pytest.raises(CnnError) as caught:
            BACKEND.load(path)
        assert caught.value.diagnostics[0].code == "E0603", index
    path.write_bytes(archive(parts))
    assert BACKEND.load(path).metadata == METADATA


def test_missing_and_unwritable_files(tmp_path: Path) -> None:
    with refused("E0601"):
        BACKEND.load(tmp_path / "none.cnnref")
    with refused("E0602"):
        saved(tmp_path / "none" / "net.cnnref")


@settings(max_examples=150)
@given(st.integers(0, 10**9), st.integers(0, 255), st.booleans())
def test_changed_bytes(tmp_path: Path, place: int, byte: int, cut: bool) -> None:
    path = tmp_path / "net.cnnref"
    content = bytearray(saved(path))
    place %= len(content)
    content[place] = byte
    path.write_bytes(content[:place] if cut else content)
    with suppress_damage():
        BACKEND.load(path)


@contextmanager
def suppress_damage() -> Iterator[None]:
    """Lets pass the one error that a damaged file may raise."""
    try:
        yield
    except CnnError as error:
        if error.diagnostics[0].code != "E0603":
            raise
