"""The native engine against PyTorch's: the same seeds, the same batches, the same losses."""

import numpy as np
import pytest

import cnndsl
from cnndsl.recipes import optimisers
from cnndsl.recipes.course import Average, Clip
from cnndsl.recipes.initialisers import Pretrained
from cnndsl.recipes.losses import CrossEntropy, MeanSquaredError
from cnndsl.recipes.recipe import Recipe
from cnndsl.train.data import Data, Images
from cnndsl.train.engine import TorchTraining
from cnndsl.train.native import NativeTraining
from cnndsl.train.plan import Plan
from cnndsl.train.processes import joined
from cnndsl.weights.files import save_safetensors
from cnndsl.weights.initialise import initialise

STEPS, BATCH = 20, 8

SMALL = """
block unit(width, stride) {
    add { conv(width, 3, stride=stride, bias=false) -> bn -> relu
          -> conv(width, 3, bias=false) -> bn
        | conv(width, 1, stride=stride, bias=false) -> bn } -> relu
}
network small(classes=10) {
    input image [3, 12, 12]
    conv(8, 3, bias=false) -> bn -> relu -> maxpool(2)
    unit(8, 1)
    auxiliary side(weight=0.3) = global_avgpool -> fc(classes)
    unit(12, 2)
    conv(24, 3, groups=12) -> tanh
    global_avgpool -> fc(classes) -> softmax
}
"""

CASES = [
    ("lenet5", optimisers.AdamW(), []),
    ("lenet5", optimisers.Sgd(rate=0.02, decay=0.001), [MeanSquaredError()]),
    (SMALL, optimisers.Sgd(rate=0.05, momentum=0.9), []),
    (SMALL, optimisers.Sgd(rate=0.05, momentum=0.9), [MeanSquaredError()]),
    (SMALL, optimisers.Nesterov(rate=0.02, decay=0.01), [CrossEntropy(smoothing=0.1)]),
    (SMALL, optimisers.Velocity(rate=0.02, decay=0.01), [Clip(0.5)]),
    (SMALL, optimisers.RmsProp(rate=0.01, momentum=0.5, decay=0.01, eps=0.1), []),
    (SMALL, optimisers.Adam(rate=0.001, decay=0.01), [Average(0.9)]),
]


def data_for(net):
    (kind,) = net.inputs.values()
    random = np.random.default_rng(3)
    labels = random.integers(10, size=STEPS * BATCH)
    means = random.normal(size=(10, *kind.sizes))
    images = (means[labels] + random.normal(size=(len(labels), *kind.sizes))).astype(np.float32)
    part = Images(images, labels, kind)
    return Data(part, Images(images[:50], labels[:50], kind), tuple("0123456789"))


def test_training_starts_from_a_file_without_a_warning(tmp_path):
    net = cnndsl.parse(SMALL)
    values = initialise(net.graph.parameters(), 7)
    save_safetensors(tmp_path / "first.safetensors", values)
    recipe = Recipe.of(Pretrained(str(tmp_path / "first.safetensors")))
    plan = Plan(tmp_path / "w.safetensors", seed=5, device="cpu", threads=1)
    with joined("cpu") as processes:
        weights = TorchTraining(net, data_for(net), recipe, plan, processes).weights()
    for name, value in values.items():
        np.testing.assert_array_equal(weights[name], value.astype(np.float32))


@pytest.mark.parametrize(("network", "optimiser", "items"), CASES)
def test_losses_and_weights_are_those_of_pytorch(network, optimiser, items, tmp_path):
    net = cnndsl.parse(network)
    data, recipe = data_for(net), Recipe.of(optimiser, *items)
    plan = Plan(tmp_path / "w.safetensors", seed=5, device="cpu", threads=1)
    with joined("cpu") as processes:
        torch_, native = (
            TorchTraining(net, data, recipe, plan, processes),
            NativeTraining(net, data, recipe, plan),
        )
        for engine in (torch_, native):
            engine.begin((0, 0, 0))
        losses = []
        for start in range(0, STEPS * BATCH, BATCH):
            x, labels = data.train.batch(np.arange(start, start + BATCH))
            losses.append([engine.step(x, labels, optimiser.rate) for engine in (torch_, native)])
        wanted, found = np.transpose(losses)
        assert wanted[-1] != wanted[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        weights = native.weights()
        for name, array in torch_.weights().items():
            assert np.abs(weights[name] - array).max() <= 2e-4 * max(1, np.abs(array).max())
        both = np.array([engine.evaluate(data.held_out) for engine in (torch_, native)])
        np.testing.assert_allclose(both[1], both[0], rtol=1e-4)
