"""What low precision costs MobileNetV2, beside other quantisers, as a Markdown table.

    python -m benchmarks.precision [--crops 300] [--calibrate 64] [--seed 0] [--only TEXT]

Crops of scikit-image's photos, flipped and scaled, go through MobileNetV2 with its ImageNet
weights. Columns: crops on which the best class is that of float32, among those where that is more
than 0.1 ahead; the same for all crops; the mean signal-to-noise ratio of the logits in dB.
onnxruntime's quantiser gets the same float32 model and the same crops; so does NNCF if installed
(`pip install nncf openvino`). All ONNX models run in onnxruntime, bf16 on the target cpu. With
`--only` there are those rows alone whose name has the text in it. Needs the extra `demo`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import cnndsl
from cnndsl.quantise.collect import Settings
from cnndsl.quantise.ranges import METHODS
from cnndsl.runtime.module import Array, Module
from cnndsl.runtime.photos import IMAGENET_MEAN, IMAGENET_STD
from demo.classifier import photo, weights, weights_map

PHOTOS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"),
    *("motorcycle_right.png", "hubble_deep_field.jpg", "retina.jpg", "ihc.png", "camera.png"),
    *("moon.png", "coins.png", "grass.png", "brick.png", "gravel.png", "clock_motion.png"),
)
SIZE = 224
AHEAD = 0.1
"""How much more probable the best class is than the next where an answer counts as clear."""
BATCH = 8
NAMED: dict[str, Any] = {"weights": weights(), "weights_map": weights_map()}


def crops(count: int, seed: int) -> Array:
    """Random squares of the photos, every second one mirrored, [count, 3, 224, 224]."""
    rng = np.random.default_rng(seed)
    photos = [Image.open(photo(name)).convert("RGB") for name in PHOTOS]
    found = np.empty((count, 3, SIZE, SIZE), np.float32)
    for i in range(count):
        image = photos[i % len(photos)]
        side = int(min(image.size) * rng.uniform(0.4, 1.0))
        left, top = (int(rng.integers(0, n - side + 1)) for n in image.size)
        square = image.crop((left, top, left + side, top + side)).resize((SIZE, SIZE))
        values = np.asarray(square, np.float32)[:, :: 1 - 2 * (i // len(photos) % 2)] / 255
        found[i] = ((values - np.asarray(IMAGENET_MEAN)) / np.asarray(IMAGENET_STD)).transpose(
            2, 0, 1
        )
    return found


def logits_network() -> cnndsl.Network:
    """MobileNetV2 without its softmax."""
    network = cnndsl.parse("mobilenet_v2")
    (softmax,) = network.graph.outputs.values()
    (layer,) = network.graph.producers(network.graph[softmax])
    network.graph.outputs = {"logits": layer.name}
    network.graph.remove(network.graph[softmax])
    return network


def batches(images: Array) -> Iterator[dict[str, Array]]:
    """A few images at a time."""
    for start in range(0, len(images), BATCH):
        yield {"image": images[start : start + BATCH]}


def answers(module: Module, images: Array) -> Array:
    """The logits of all images."""
    name = module.inputs[0].name
    made = [module(**{name: part["image"]}) for part in batches(images)]
    return np.concatenate([np.asarray(array, np.float64) for array in made])


def row(name: str, wanted: Array, made: Array) -> str:
    """The figures of one quantiser."""
    powers = np.exp(wanted - wanted.max(1, keepdims=True))
    ranked = np.sort(powers / powers.sum(1, keepdims=True), 1)
    clear = ranked[:, -1] - ranked[:, -2] > AHEAD
    agrees = wanted.argmax(1) == made.argmax(1)
    snr = 10 * np.log10((wanted**2).sum(1) / ((made - wanted) ** 2).sum(1))
    return f"| {name} | {agrees[clear].mean():.1%} | {agrees.mean():.1%} | {snr.mean():.1f} |"


def ours(network: cnndsl.Network, images: Array, **settings: Any) -> Module:
    """Calibrated on images, as an ONNX model."""
    found = cnndsl.calibrate(
        network, batches(images), samples=len(images), settings=Settings(**settings), **NAMED
    )
    return cnndsl.compile(network, "onnx", precision="int8", calibration=found, **NAMED)


def of_onnxruntime(model: Path, images: Array, method: str) -> Module:
    """By onnxruntime's own quantiser, per channel, on the same images."""
    from onnxruntime import quantization as q

    class Reader(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = batches(images)

        def get_next(self) -> Mapping[str, Array] | None:
            return next(self.left, None)

    made = model.with_name(f"{method}.onnx")
    q.quantize_static(
        model,
        made,
        Reader(),
        quant_format=q.QuantFormat.QDQ,
        per_channel=True,
        activation_type=q.QuantType.QUInt8,
        weight_type=q.QuantType.QInt8,
        calibrate_method=getattr(q.CalibrationMethod, method),
    )
    return cnndsl.load(made)


def of_nncf(model: Path, images: Array) -> Module:
    """By NNCF's post-training quantisation, on the same images."""
    import nncf
    import onnx

    data = nncf.Dataset([part["image"] for part in batches(images)], lambda x: {"image": x})
    made = nncf.quantize(onnx.load(model), data, subset_size=len(images))
    path = model.with_name("nncf.onnx")
    onnx.save(made, path)
    return cnndsl.load(path)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=300)
    parser.add_argument("--calibrate", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="TEXT")
    given = parser.parse_args()
    known, unseen = crops(given.calibrate, given.seed + 1), crops(given.crops, given.seed)
    network = logits_network()
    exact = cnndsl.compile(network, "onnx", opset=13, **NAMED)
    wanted = answers(exact, unseen)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "float32.onnx"
        exact.save(model)
        makers: dict[str, Callable[[], Module]] = {
            f"ours, {method}": partial(ours, network, known, method=method) for method in METHODS
        }
        makers["ours, mse, no correction"] = partial(
            ours, network, known, method="mse", corrected=False
        )
        for method in ("MinMax", "Entropy", "Percentile"):
            makers[f"onnxruntime, {method}"] = partial(of_onnxruntime, model, known, method)
        if find_spec("nncf"):
            makers["NNCF"] = partial(of_nncf, model, known)
        print("| quantiser | agrees where clear | agrees | mean dB |\n|---|---|---|---|")
        makers["bf16"] = partial(cnndsl.compile, network, "cpu", precision="bf16", **NAMED)
        for name, make in makers.items():
            if given.only not in name:
                continue
            print(row(name, wanted, answers(make(), unseen)), flush=True)


if __name__ == "__main__":
    main()
