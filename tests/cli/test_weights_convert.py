"""`cnndsl weights convert`, and what `inspect` tells of crops and gridding."""

import json

import numpy as np

from cnndsl.weights.files import load_weights, save_safetensors

SLIDING = """
network sliding {
    input image [3, 8, 8]
    conv(6, 3, dilation=2) -> relu
    conv(4, 3, dilation=2) -> fc(5)
}
"""


PARALLEL = """
network parallel {
    input image [3, 8, 8]
    concat { left: conv(4, 3, bias=false) | right: conv(4, 3, bias=false) }
}
"""


def keras_arrays():
    rng = np.random.default_rng(0)
    shapes = {
        "conv2d/kernel": (3, 3, 3, 6),
        "conv2d/bias": (6,),
        "dense/kernel": (6, 4),
        "dense/bias": (4,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_a_converted_file_fits(call):
    np.savez("keras.npz", **keras_arrays())
    assert call("weights", "check", "small.cnn", "keras.npz").code == 2
    done = call("weights", "convert", "keras.npz", "--from", "keras", "--network", "small.cnn")
    assert done.code == 0
    first, second, last = done.out.splitlines()
    assert first.split() == ["conv2d", "->", "stem", "weight,", "bias"]
    assert second.split() == ["dense", "->", "fc1", "weight,", "bias"]
    assert last.startswith("small.safetensors")
    assert call("weights", "check", "small.cnn", "small.safetensors").code == 0
    kernel = load_weights("small.safetensors")["stem.weight"]
    np.testing.assert_array_equal(kernel[5, 2], keras_arrays()["conv2d/kernel"][:, :, 2, 5])


def test_settings_and_output(call):
    arrays = keras_arrays() | {"dense/kernel": np.ones((6, 9)), "dense/bias": np.ones(9)}
    np.savez("keras.npz", **arrays)
    options = ["--network", "small.cnn", "--set", "classes=9", "-o", "nine.safetensors"]
    assert call("weights", "convert", "keras.npz", *options).code == 0
    assert load_weights("nine.safetensors")["fc1.weight"].shape == (9, 6)


def test_rules_name_the_layers_that_their_order_does_not_tell_apart(call, tmp_path):
    (tmp_path / "parallel.cnn").write_text(PARALLEL)
    shapes = {"a.weight": (4, 3, 3, 3), "b.weight": (4, 3, 3, 3)}
    arrays = {name: np.full(shape, ord(name[0])) for name, shape in shapes.items()}
    save_safetensors(tmp_path / "ab.safetensors", arrays, {})
    options = ["ab.safetensors", "--network", "parallel.cnn"]
    refused = call("weights", "convert", *options)
    assert refused.code == 2
    assert "E0415" in refused.err
    assert "--draft" in refused.err
    assert call("weights", "convert", *options, "--draft", "ab.map").code == 2
    draft = (tmp_path / "ab.map").read_text()
    assert draft == "a.* -> left.*  # ? right\nb.* -> right.*  # ? left\n"
    (tmp_path / "ab.map").write_text("a.* -> right.*\nb.* -> left.*\n")
    assert call("weights", "convert", *options, "--weights-map", "ab.map").code == 0
    found = load_weights("parallel.safetensors")
    assert (found["left.weight"] == ord("b")).all()
    assert (found["right.weight"] == ord("a")).all()


def test_rules_name_the_arrays_of_keras_in_the_layouts_of_networks(call, tmp_path):
    (tmp_path / "flat.cnn").write_text(
        "network flat {\n    input image [2, 3, 1]\n    flatten -> fc(4)\n}\n"
    )
    arrays = {"dense/kernel": np.arange(24).reshape(6, 4), "dense/bias": np.zeros(4)}
    np.savez("keras.npz", **{name: array.astype(np.float32) for name, array in arrays.items()})
    (tmp_path / "keras.map").write_text("dense.* -> fc1.*\n")
    options = ["keras.npz", "--from", "keras", "--network", "flat.cnn"]
    assert call("weights", "convert", *options, "-o", "order.safetensors").code == 0
    assert call("weights", "convert", *options, "--weights-map", "keras.map").code == 0
    by_order, by_rules = load_weights("order.safetensors"), load_weights("flat.safetensors")
    assert by_order.keys() == by_rules.keys()
    assert all((by_order[name] == by_rules[name]).all() for name in by_order)


def test_json_has_the_pairing(call):
    np.savez("keras.npz", **keras_arrays())
    found = json.loads(
        call("weights", "convert", "keras.npz", "--network", "small.cnn", "--json").out
    )
    assert found["by"] == "names, shapes and structure"
    pairs = {array["to"]: (array["from"], array["shape"]) for array in found["arrays"]}
    assert pairs["stem.weight"] == ("conv2d.weight", [6, 3, 3, 3])
    assert set(pairs) == {"stem.weight", "stem.bias", "fc1.weight", "fc1.bias"}


def test_what_cannot_be_converted_leaves_no_file(call, tmp_path):
    np.savez("keras.npz", **{"dense/kernel": np.ones((6, 4)), "dense/bias": np.ones(4)})
    refused = call("weights", "convert", "keras.npz", "--network", "small.cnn")
    assert refused.code == 2
    assert "E0414" in refused.err
    unknown = call("weights", "convert", "keras.npz", "--from", "mxnet", "--network", "small.cnn")
    assert unknown.code == 2
    assert "sources: torchvision, timm, keras, auto" in unknown.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keras.npz", "small.cnn"]


def test_what_is_left_out_at_inference_does_not_hide_gridding(call, tmp_path):
    chain = " -> stochastic_depth(0.5) -> ".join(["conv(8, 3, dilation=2)"] * 3)
    text = f"network net {{\n    input image [3, 32, 32]\n    {chain}\n}}\n"
    (tmp_path / "net.cnn").write_text(text)
    assert "W0206" in call("check", "net.cnn").out


def test_inspect_tells_of_crops_and_gridding(call, tmp_path):
    (tmp_path / "sliding.cnn").write_text(SLIDING)
    assert "W0206" in call("check", "sliding.cnn").out
    assert "W0206" in call("compile", "sliding.cnn", "--seed", "0").err
    plain = call("inspect", "sliding.cnn")
    assert "crops" not in plain.out
    assert "W0206" in plain.err
    options = ["sliding.cnn", "--input-shape", "image=3x10x9"]
    assert "one pass for 6 crops of 3x8x8" in call("inspect", *options).out
    found = json.loads(call("inspect", *options, "--json").out)
    assert found["crops"]["count"] == 6
    alone = json.loads(call("inspect", "sliding.cnn", "--json").out)
    assert found["crops"]["macs"] == 6 * alone["macs"]
    assert [(row["code"], row["source"]) for row in alone["gridding"]] == [
        ("W0206", "sliding.cnn:5:5")
    ]
    assert alone["crops"] is None
