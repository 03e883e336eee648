"""Files as Keras 2 and 3 lay them out; needs h5py, so it is not part of the default run."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

import cnndsl
from cnndsl.diagnostics import CnnError
from cnndsl.weights.conversion import convert
from cnndsl.weights.files import load_weights

NETWORK = """
network small {
    input image [3, 6, 6]
    conv(4, 3, bias=false) -> bn -> relu -> depthwise(3) -> prelu -> bn
    flatten -> fc(5) -> relu -> fc(2)
}
"""
SHAPES = {
    "stem/kernel": (3, 3, 3, 4),
    "n1/gamma": (4,),
    "n1/beta": (4,),
    "n1/moving_mean": (4,),
    "n1/moving_variance": (4,),
    "deep/depthwise_kernel": (3, 3, 4, 1),
    "deep/bias": (4,),
    "slopes/alpha": (1, 1, 4),
    "n2/beta": (4,),
    "n2/moving_mean": (4,),
    "n2/moving_variance": (4,),
    "dense/kernel": (144, 5),
    "dense/bias": (5,),
    "head/kernel": (5, 2),
    "head/bias": (2,),
}
CLASSES = {
    "stem": "conv2d",
    "n1": "batch_normalization",
    "deep": "depthwise_conv2d",
    "slopes": "p_re_lu",
    "n2": "batch_normalization_1",
    "dense": "dense",
    "head": "dense_1",
}


def arrays():
    rng = np.random.default_rng(0)
    return {name: rng.random(shape, np.float32) for name, shape in SHAPES.items()}


def write_legacy(root, given):
    layers = list(dict.fromkeys(name.partition("/")[0] for name in given))
    root.attrs["layer_names"] = [layer.encode() for layer in layers]
    for layer in layers:
        names = [f"{name}:0" for name in given if name.startswith(f"{layer}/")]
        group = root.create_group(layer)
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name in names:
            group[name] = given[name.removesuffix(":0")]


def write_numbered(root, given):
    for layer, kind in CLASSES.items():
        group = root.create_group(f"layers/{kind}/vars")
        group.attrs["name"] = layer
        members = [array for name, array in given.items() if name.startswith(f"{layer}/")]
        for index, array in enumerate(members):
            group[str(index)] = array
    root.create_group("optimizer/vars")["0"] = np.zeros(3)


def write_archive(path, given, **changes):
    content = io.BytesIO()
    with h5py.File(content, "w") as root:
        write_numbered(root, given)
    layers = [
        {"class_name": "BatchNormalization", "config": {"name": "n2", "scale": False}},
        {"class_name": "Conv2D", "config": {"name": "stem", "use_bias": False}},
    ]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}} | changes))
        archive.writestr("model.weights.h5", content.getvalue())


@pytest.mark.parametrize("form", ["weights", "model", "archive"])
def test_all_forms_give_the_same_arrays(tmp_path, form):
    path, given = tmp_path / "file", arrays()
    if form == "archive":
        write_archive(path, given)
    else:
        with h5py.File(path, "w") as root:
            write_legacy(root if form == "weights" else root.create_group("model_weights"), given)
    found = load_weights(path)
    assert set(found) == set(given)
    assert all(np.array_equal(found[name], array) for name, array in given.items())


def test_a_model_of_keras_computes_the_same(tmp_path):
    write_archive(tmp_path / "small.keras", arrays())
    network = cnndsl.parse(NETWORK)
    values = convert(load_weights(tmp_path / "small.keras"), network).values
    expected = convert(arrays(), network, "keras").values
    assert values.keys() == expected.keys()
    assert all(np.array_equal(values[name], expected[name]) for name in values)
    assert values["bn2.weight"].tolist() == [1.0] * 4
    dense = arrays()["dense/kernel"]
    assert values["fc1.weight"][3, 5] == dense.reshape(6, 6, 4, 5)[0, 5, 0, 3]


def test_variables_without_roles_are_refused(tmp_path):
    """Three variables of a normalisation: is it the scale or the centre that is missing?"""
    with h5py.File(tmp_path / "bare.weights.h5", "w") as root:
        write_numbered(root, arrays())
    with pytest.raises(CnnError, match=r"n2 does not tell which variables(.|\n)*") as caught:
        load_weights(tmp_path / "bare.weights.h5")
    assert caught.value.diagnostics[0].code == "E0401"


@pytest.mark.parametrize("damage", ["cut", "text", "link", "virtual", "bomb"])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as root:
        write_legacy(root, arrays())
        if damage == "text":
            del root["stem/stem/kernel:0"]
            root["stem/stem/kernel:0"] = "words"
        elif damage == "link":
            del root["stem/stem/kernel:0"]
            root["stem/stem/kernel:0"] = h5py.ExternalLink("other.h5", "/x")
        elif damage == "virtual":
            del root["stem/stem/kernel:0"]
            root.create_virtual_dataset(
                "stem/stem/kernel:0", h5py.VirtualLayout((3, 3, 3, 4), "f4")
            )
        elif damage == "bomb":
            del root["stem/stem/kernel:0"]
            root.create_dataset("stem/stem/kernel:0", (1 << 20,) * 2, "f4", chunks=(1 << 10,) * 2)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(CnnError) as caught:
        load_weights(path)
    assert caught.value.diagnostics[0].code == "E0401"


def test_a_heap_without_an_end_is_refused(tmp_path):
    """Names of variable length lie in a heap; HDF5 2.0 never ends where free space has no size."""
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array(["c"], h5py.string_dtype())
        group = file.create_group("c")
        group.attrs["weight_names"] = np.array(["c/kernel:0"], h5py.string_dtype())
        group["c/kernel:0"] = np.ones((3, 3), np.float32)
    assert list(load_weights(path)) == ["c/kernel"]
    content = bytearray(path.read_bytes())
    head = content.index(b"GCOL\1\0\0\0")
    free = head + 16 + 2 * 16 + 8 + 16
    assert content[free : free + 8] == bytes(8)
    content[free + 8 : free + 16] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(CnnError, match="a heap of it is damaged"):
        load_weights(path)
