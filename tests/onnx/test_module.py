"""Running, saving and loading of ONNX models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import cnndsl
from cnndsl.backends.onnx.module import OnnxModule
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.runtime.backend import CompileOptions
from tests.onnx.support import BACKEND, compiled, small_net, start, then

IMAGE = np.random.default_rng(0).normal(size=(2, 3, 8, 8))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    compiled(small_net(), CompileOptions(metadata={"source_hash": "abc"})).save(path)
    return path


def write_foreign(path: Path, kind: int, shape: list[int | str | None] | None) -> None:
    """A model of another producer: y = relu(x)."""
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [x], [y])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def test_save_and_load_give_the_same_module(saved: Path, tmp_path: Path):
    module = compiled(small_net(), CompileOptions(metadata={"source_hash": "abc"}))
    loaded = BACKEND.load(saved)
    assert (loaded.inputs, loaded.outputs) == (module.inputs, module.outputs)
    assert loaded.metadata == module.metadata
    np.testing.assert_array_equal(loaded(IMAGE), module(IMAGE))
    loaded.save(tmp_path / "copy.onnx")
    assert (tmp_path / "copy.onnx").read_bytes() == saved.read_bytes()


def test_open_sizes_and_fixed_batches_survive(tmp_path: Path):
    graph = small_net(3, OpenDim.symbol("H"), 8)
    compiled(graph, CompileOptions(batch=2)).save(tmp_path / "net.onnx")
    loaded = BACKEND.load(tmp_path / "net.onnx")
    assert str(loaded.inputs[0].type) == "3xHx8"
    assert str(loaded.outputs[0].type) == "2x(H - 2)x6"
    assert loaded.inputs[0].batch == 2
    with pytest.raises(CnnError, match="E0604"):
        loaded(IMAGE[:1])


def test_a_single_sample_has_no_batch_axis():
    module = compiled(small_net())
    np.testing.assert_allclose(module(IMAGE[0]), module(IMAGE)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(saved: Path, threads: int):
    module = compiled(small_net(), CompileOptions(threads=threads))
    loaded = BACKEND.load(saved, threads)
    for one in (module, loaded):
        options = one.session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)


def test_the_session_is_made_when_it_is_needed():
    module = compiled(small_net())
    assert "session" not in vars(module)
    module(IMAGE)
    assert "session" in vars(module)


def test_open_sizes_have_a_least_value(tmp_path: Path):
    graph, x = start(3, OpenDim.symbol("H"), OpenDim.symbol("W"))
    x = then(graph, "pool1", "maxpool", x, kernel=[3, 2], stride=2)
    then(graph, "pool2", "maxpool", x, kernel=[5, 1], stride=[3, 1])
    graph.outputs = {"y": "pool2"}
    module = compiled(graph)
    module.save(tmp_path / "net.onnx")
    for one in (module, BACKEND.load(tmp_path / "net.onnx")):
        assert one(np.ones((1, 3, 11, 2))).tolist() == np.ones((1, 3, 1, 1)).tolist()
        with pytest.raises(CnnError, match=r"E0702.*H is 10, the least is 11"):
            one(np.ones((1, 3, 10, 2)))
        with pytest.raises(CnnError, match=r"E0702.*W is 1, the least is 2"):
            one(np.ones((1, 3, 11, 1)))


@pytest.mark.parametrize("target", ["onnx", "reference"])
@pytest.mark.parametrize(
    ("layer", "least"),
    [
        ("maxpool(3, ceil=true)", 3),
        ("avgpool(4, stride=2, pad=1, ceil=true)", 2),
        ("maxpool(2, stride=1, pad=1, dilation=2)", 2),
        ("maxpool(2) -> maxpool(3, ceil=true)", 6),
    ],
)
def test_maps_are_never_smaller_than_the_windows_of_a_pool(layer: str, least: int, target: str):
    module = cnndsl.compile(f"network n {{\ninput x [1, H, 9]\n{layer}\n}}", target)
    assert np.isfinite(module(np.ones((1, least, 9)))).all()
    too_small = f"E0702.*H is {least - 1}, the least is {least}" if target == "onnx" else "E0604"
    with pytest.raises(CnnError, match=too_small):
        module(np.ones((1, least - 1, 9)))


@pytest.mark.parametrize("entry", ["{", "[1]", '{"H": "1"}'])
def test_broken_limits(tmp_path: Path, entry: str):
    model = onnx.load_model_from_string(compiled(small_net()).serialized)
    helper.set_model_props(model, {"cnndsl.smallest_sizes": entry})
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(CnnError, match="E0603"):
        BACKEND.load(tmp_path / "net.onnx")


def test_what_onnxruntime_refuses(capfd: pytest.CaptureFixture[str]):
    module = compiled(small_net(3, OpenDim.symbol("H"), 8))
    unlimited = OnnxModule(module.serialized, module.inputs, module.outputs, {})
    with pytest.raises(CnnError, match=r"E0702.*onnxruntime cannot run the model"):
        unlimited(np.zeros((1, 3, 1, 8)))
    assert capfd.readouterr() == ("", "")


def test_damaged_names(saved: Path, capfd: pytest.CaptureFixture[str]):
    whole = saved.read_bytes()
    for name in (b"image", b"scores", b"source_hash"):
        saved.write_bytes(whole.replace(name, b"\xff" * len(name)))
        with pytest.raises(CnnError, match="E0603"):
            BACKEND.load(saved)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT, np.float32),
        (TensorProto.DOUBLE, np.float64),
        (TensorProto.FLOAT16, np.float16),
    ],
)
def test_models_of_others(tmp_path: Path, kind: int, dtype: type):
    write_foreign(tmp_path / "other.onnx", kind, [None, 2, "W", None])
    module = BACKEND.load(tmp_path / "other.onnx")
    assert module.metadata["network"] == "other"
    assert str(module.inputs[0].type) == "2xWxaxis3"
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    result = module(x)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.maximum(x.astype(dtype), 0))


@pytest.mark.parametrize(("kind", "shape"), [(TensorProto.INT32, [1, 2]), (TensorProto.FLOAT, [])])
def test_models_whose_inputs_are_no_batches_of_numbers(
    tmp_path: Path, kind: int, shape: list[int | str | None]
):
    write_foreign(tmp_path / "other.onnx", kind, shape)
    with pytest.raises(CnnError, match="E0603"):
        BACKEND.load(tmp_path / "other.onnx")


def test_broken_files(saved: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    whole = saved.read_bytes()
    broken = tmp_path / "broken.onnx"
    graph_end = whole.index(b"source_hash") - 100
    cuts = [whole[:length] for length in range(0, graph_end, 97)]
    for content in [b"", b"not a model", b"\x00" * 100, whole[10:], *cuts]:
        broken.write_bytes(content)
        with pytest.raises(CnnError, match="E0603"):
            BACKEND.load(broken)
    assert capfd.readouterr() == ("", "")


def test_files_that_cannot_be_read_or_written(tmp_path: Path):
    with pytest.raises(CnnError, match="E0601"):
        BACKEND.load(tmp_path / "none.onnx")
    with pytest.raises(CnnError, match="E0602"):
        compiled(small_net()).save(tmp_path / "none" / "net.onnx")
    assert list(tmp_path.iterdir()) == []
