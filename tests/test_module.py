"""What a module takes, and the size at which a photo enters a network whose sizes are open."""

import copy
import os
from pickle import dumps, loads

import numpy as np
import pytest

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.types import TensorType
from cnndsl.runtime.module import Module, Port
from cnndsl.weights.files import save_safetensors
from cnndsl.weights.initialise import initialise

OPEN = TensorType((3, OpenDim.symbol("H"), OpenDim.symbol("W")))


class Empty(Module):
    weight_bytes = 0

    def run(self, arrays):
        return {}

    def save(self, path):
        pass

    def set_weights(self, weights):
        pass


@pytest.mark.parametrize(
    ("declared", "own", "expected"),
    [
        ("image=3x224x128", OPEN, (3, 224, 128)),
        ("left=3x8x8,image=3x224x128,image2=3x9x9", OPEN, (3, 224, 128)),
        ("image=3x224x128", TensorType((3, 224, OpenDim.symbol("W"))), (3, 224, 128)),
        ("image=3x224x128", TensorType((3, 64, 64)), (3, 64, 64)),
        ("image=3xHxW", OPEN, OPEN.shape),
        ("image=1x224x128", OPEN, OPEN.shape),
        ("image=3x224", OPEN, OPEN.shape),
        ("image=3x0x128", OPEN, OPEN.shape),
        ("image=3x99999999999x8", OPEN, OPEN.shape),
        ("other=3x224x128", OPEN, OPEN.shape),
        ("=,x", OPEN, OPEN.shape),
        ("", OPEN, OPEN.shape),
    ],
)
def test_declared_type(declared, own, expected):
    port = Port("image", own)
    module = Empty((port,), (), {"input_shapes": declared})
    assert module.declared_type(port).shape == expected


def test_a_model_of_another_producer_declares_nothing():
    port = Port("image", OPEN)
    assert Empty((port,), (), {}).declared_type(port) == OPEN


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"left": (1, 8, 8), "right": (2, 1, 8, 8)},
            "input 'left' is a single sample, 1x8x8, but 'right' a batch, 2x1x8x8",
        ),
        (
            {"left": (3, 1, 8, 8), "right": (2, 1, 8, 8)},
            "the batches differ: 3 in input 'left', but 2 in 'right'",
        ),
        (
            {"left": (1, 8, 8), "right": (2, 3, 8, 8)},
            "input 'right' is batchx1x8x8, not 2x3x8x8",
        ),
        ({"left": (8, 8), "right": (2, 1, 8, 8)}, "input 'left' is batchx1x8x8, not 8x8"),
        ({"left": (1, 8, 8)}, "no value for input right"),
    ],
)
def test_wrong_inputs(shapes, message):
    module = Empty(tuple(Port(name, TensorType((1, 8, 8))) for name in ("left", "right")), (), {})
    with pytest.raises(CnnError) as caught:
        module.batched(**{name: np.zeros(shape) for name, shape in shapes.items()})
    assert caught.value.diagnostics[0].message == message


def test_the_inputs_are_listed_if_one_is_missing():
    module = Empty((Port("left", TensorType((1, 8, 8))), Port("right", OPEN)), (), {})
    with pytest.raises(CnnError) as caught:
        module.batched()
    assert caught.value.diagnostics[0].hint == "inputs: left 1x8x8, right 3xHxW"


SMALL = """
network small {
    input image [3, 8, 8]
    conv(6, 3) -> bn -> relu -> global_avgpool -> fc(4)
}
"""
TARGETS = pytest.mark.parametrize("target", ["reference", "onnx", "cpu"])


@pytest.fixture(scope="module")
def arrays():
    parameters = cnndsl.parse(SMALL).graph.parameters()
    return [initialise(parameters, seed) for seed in (0, 1)]


@TARGETS
def test_other_weights(target, arrays, tmp_path):
    image = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    expected = [cnndsl.compile(SMALL, target, weights=w)(image) for w in arrays]
    module = cnndsl.compile(SMALL, target, weights=arrays[0])
    module(image)
    with pytest.warns(cnndsl.CnnWarning, match="unexpected: stranger"):
        module.set_weights({**arrays[1], "stranger": np.zeros(2)})
    assert [warning.code for warning in module.warnings] == ["W0204"]
    np.testing.assert_array_equal(module(image), expected[1])
    save_safetensors(tmp_path / "w.safetensors", arrays[0])
    module.set_weights(tmp_path / "w.safetensors")
    assert module.warnings == ()
    np.testing.assert_array_equal(module(image), expected[0])
    with pytest.raises(CnnError, match="E0404"):
        module.set_weights({})
    np.testing.assert_array_equal(module(image), expected[0])


@TARGETS
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda m: loads(dumps(m))])
def test_copies_are_modules_of_their_own(target, again, arrays):
    image = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    module = cnndsl.compile(SMALL, target, weights=arrays[0], progress=lambda *_: None)
    expected = module(image)
    twin = again(module)
    twin.set_weights(arrays[1])
    assert not np.array_equal(twin(image), expected)
    np.testing.assert_array_equal(module(image), expected)
    np.testing.assert_array_equal(again(module)(image), expected)


def test_the_copy_of_a_loaded_model_needs_no_file(arrays, tmp_path):
    image = np.ones((3, 8, 8), np.float32)
    path = tmp_path / "small.onnx"
    cnndsl.compile(SMALL, "onnx", weights=arrays[0]).save(path)
    module = cnndsl.load(path)
    pickled = dumps(module)
    path.unlink()
    np.testing.assert_array_equal(loads(pickled)(image), module(image))


def test_weights_that_do_not_fit_quite_are_told_as_the_command_does(arrays):
    lacking = {"stranger": np.zeros(2), **dict(list(arrays[0].items())[1:])}
    with pytest.warns(cnndsl.CnnWarning) as caught:
        module = cnndsl.compile(SMALL, weights=lacking, seed=0)
    assert [str(w.message)[:14] for w in caught] == ["warning[W0204]", "warning[W0205]"]
    assert {w.filename for w in caught} == {__file__}
    assert len(module.warnings) == 2


@pytest.mark.parametrize("suffix", [".onnx", ".cnnmod", ".cnnref"])
def test_pipes_and_folders_are_no_artefacts(suffix, tmp_path):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(
            CnnError, match=r"E0601.*cannot read .*: (it is no regular file|Is a directory)"
        ):
            cnndsl.load(tmp_path / f"{name}{suffix}")
    with pytest.raises(CnnError, match=r"E0601.*cannot read .*: No such file"):
        cnndsl.load(tmp_path / f"none{suffix}")


def test_the_file_of_a_model_takes_no_other_weights(arrays, tmp_path):
    cnndsl.compile(SMALL, "onnx", weights=arrays[0]).save(tmp_path / "small.onnx")
    with pytest.raises(CnnError, match="E0417"):
        cnndsl.load(tmp_path / "small.onnx").set_weights(arrays[1])


@TARGETS
def test_what_is_no_sample_or_no_float32_is_refused(target):
    module = cnndsl.compile(SMALL, target, seed=0)
    image = np.ones((1, 3, 8, 8))
    with pytest.raises(CnnError, match=r"E0604.*'image' is empty: 0x3x8x8"):
        module(image[:0])
    image[0, 1, 2, 3] = -1e39
    with pytest.raises(CnnError, match=r"E0604.*holds -1e.39, too large for float32"):
        module(image)
    for value in (np.inf, -np.inf, np.nan, np.finfo(np.float32).max):
        image[0, 1, 2, 3] = value
        module(image)
    module(np.full((1, 3, 8, 8), 2**62))


def test_what_numpy_makes_no_array_of_and_what_is_masked_is_refused():
    module = cnndsl.compile(SMALL, "reference", seed=0)
    image = np.ma.array(np.ones((1, 3, 8, 8)))
    module(image)
    with pytest.raises(CnnError, match=r"E0604.*'image' is no array"):
        module([[1, 2], [3]])
    image[0, 1, 2, 3] = np.ma.masked
    with pytest.raises(CnnError, match=r"E0604.*'image' is masked"):
        module(image)
    for wrong in (5, ["w.npz"], b"w.npz"):
        with pytest.raises(CnnError, match=r"E0615.*weights is a file"):
            module.set_weights(wrong)


@pytest.mark.parametrize("target", ["reference", "onnx"])
def test_an_open_size_of_nothing_is_refused(target):
    module = cnndsl.compile(SMALL.replace("8, 8", "H, W"), target, seed=0)
    with pytest.raises(CnnError, match=r"E0604.*is empty: 2x3x0x8"):
        module(np.ones((2, 3, 0, 8)))


def test_the_reference_takes_any_float64_if_it_computes_in_that():
    module = cnndsl.compile(SMALL, "reference", seed=0, dtype="float64")
    assert np.isfinite(module(np.full((3, 8, 8), 1e39))).all()


@TARGETS
def test_reprs_are_short_and_say_what_it_is(target):
    network = cnndsl.parse(SMALL)
    module = cnndsl.compile(network, target, seed=0)
    assert repr(module).endswith("('small', image batchx3x8x8 -> output batchx4)") or (
        target != "cpu" and "HxW -> output batchx4" in repr(module)
    )
    assert repr(network.graph) == "Graph('small', 6 nodes)"
    assert repr(network.graph["conv1"]) == "Node('conv1', conv, 6x8x8)"
    assert repr(network.inputs) == "{'image': TensorType(3x8x8)}"
    assert repr(Port("image", OPEN, 2)) == "Port(image 2x3xHxW)"
    assert repr(OPEN.shape) == "(3, H, W)"
    with pytest.raises(CnnError) as caught:
        cnndsl.parse(SMALL.replace("relu", "rleu"))
    (error,) = caught.value.diagnostics
    assert SMALL not in repr(error)
    assert "<text>:4:25" in repr(error)
    assert len(repr(error)) < 400


def test_what_a_network_tells_of_itself():
    """18 * 9 + 6 weights and biases, 12 of bn, 6 * 4 + 4 behind it; a product for each weight."""
    network = cnndsl.parse(SMALL)
    assert network.params == 18 * 9 + 6 + 12 + 28
    assert network.macs == 64 * 18 * 9 + 24
    assert {n: str(t) for n, t in network.inputs.items()} == {"image": "3x8x8"}
    assert {n: str(t) for n, t in network.outputs.items()} == {"output": "4"}
    assert repr(network) == "Network('small', 6 nodes, <text>)"
    assert cnndsl.parse(SMALL.replace("8, 8", "H, W")).macs is None
