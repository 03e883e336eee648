"""Networks trained on scikit-learn's digits lose at most half a point of accuracy in int8."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import cnndsl
from cnndsl.cli.main import commands
from cnndsl.train.data import read_data

LOST = 0.005
FEWEST_RIGHT = 0.96
CALIBRATING = 128
NETWORKS = {
    "lenet": """
network lenet(classes=10) {
    input image [1, 16, 16]
    conv(6, 5) -> relu -> maxpool(2) -> conv(16, 5) -> relu -> maxpool(2)
    fc(84) -> relu -> fc(classes) -> softmax
}""",
    "resnet": """
defaults conv(bias=false)
block basic(width, stride=1) {
    add { conv(width, 3, stride=stride) -> bn -> relu -> conv(width, 3) -> bn
        | if channels != width { conv(width, 1, stride=stride) -> bn } } -> relu
}
network resnet(classes=10) {
    input image [1, 16, 16]
    conv(12, 3) -> bn -> relu
    basic(12) -> basic(24, 2) -> basic(48, 2)
    global_avgpool -> fc(classes) -> softmax
}""",
    "mobilenet": """
defaults conv(bias=false)
block bottleneck(width, stride, expansion) {
    conv(expansion*channels, 1) -> bn -> relu6
    depthwise(3, stride=stride) -> bn -> relu6 -> conv(width, 1) -> bn
}
block inverted(width, stride=1, expansion=4) {
    if stride > 1 or channels != width { bottleneck(width, stride, expansion) }
    else { add { identity | bottleneck(width, stride, expansion) } }
}
network mobilenet(classes=10) {
    input image [1, 16, 16]
    conv(12, 3) -> bn -> relu6
    inverted(12) -> inverted(16, 2) -> inverted(16) -> inverted(32, 2) -> inverted(32)
    conv(64, 1) -> bn -> relu6
    global_avgpool -> fc(classes) -> softmax
}""",
}


def call(*arguments: object) -> None:
    found = CliRunner().invoke(commands, [str(a) for a in arguments], standalone_mode=False)
    if found.exception:
        raise found.exception


@pytest.mark.parametrize("name", NETWORKS)
def test_accuracy_on_digits(name: str, tmp_path: Path) -> None:
    """All by the verbs: train, calibrate on some of the images trained with, compile, evaluate."""
    text, weights, codes = (
        tmp_path / f"{name}{end}" for end in (".cnn", ".safetensors", ".calibration")
    )
    text.write_text(NETWORKS[name])
    call("train", text, "--data", "digits", "--epochs", 24, "--threads", 1, "-o", weights)
    ((image, kind),) = cnndsl.parse(text).inputs.items()
    samples, _ = read_data("digits", kind).train.batch(np.arange(CALIBRATING))
    np.savez(tmp_path / "samples.npz", **{image: samples})
    own = ("--weights", weights)
    call("calibrate", text, *own, "--input", tmp_path / "samples.npz", "-o", codes)
    options = ("--target", "cpu", *own, "--precision")
    call("compile", text, *options, "f32", "-o", tmp_path / "f32.cnnmod")
    call("compile", text, *options, "int8", "--calibration", codes, "-o", tmp_path / "int8.cnnmod")
    exact, low = (
        cnndsl.evaluate(tmp_path / f"{precision}.cnnmod", "digits").top1
        for precision in ("f32", "int8")
    )
    print(f"{name}: {exact:.4f} in float32, {low:.4f} in int8")
    assert exact >= FEWEST_RIGHT
    assert low >= exact - LOST
