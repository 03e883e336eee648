"""What acts in training, and the steps of training, against PyTorch by hand in float64."""

import json
import math
import zipfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import prune as by_pytorch

import cnndsl
from cnndsl.cli.main import commands
from cnndsl.ir.photo import Photo
from cnndsl.language.recipes import read_item
from cnndsl.recipes import optimisers
from cnndsl.recipes.augmentations import RandomCrop, RandomResizedCrop
from cnndsl.recipes.initialisers import Bias, Gaussian, He
from cnndsl.recipes.losses import CrossEntropy, MapCriterion, MeanSquaredError, OutputWeight
from cnndsl.recipes.recipe import Recipe
from cnndsl.recipes.registry import ITEMS
from cnndsl.train.augment import CHANGES, augmented
from cnndsl.train.checkpoint import read_checkpoint
from cnndsl.train.crops import CROPS
from cnndsl.train.data import read_data
from cnndsl.train.engine import Plan, TorchTraining
from cnndsl.train.initial import MAKERS as INITIALISERS
from cnndsl.train.initial import initial_weights
from cnndsl.train.losses import TERMS, objective_of
from cnndsl.train.processes import joined
from cnndsl.train.steps import MAKERS as OPTIMISERS
from cnndsl.train.steps import VelocitySgd, optimiser_of
from cnndsl.weights.bind import bind
from cnndsl.weights.files import load_weights, save_safetensors
from cnndsl.weights.sparsity import prune

TEXT = """
block unit(width, survival) {
    add { identity | conv(width, 3, bias=false) -> bn -> relu -> stochastic_depth(survival) }
}
network small(classes=5) {
    input image [3, 8, 8]
    conv(6, 3) -> relu
    unit(6, 0.5)
    auxiliary side(weight=0.3) = global_avgpool -> fc(classes)
    conv(6, [2, 2], stride=2) -> lrn(3) -> dropout(0.25)
    global_avgpool -> fc(classes)
}
"""


class ByHand(nn.Module):
    """The same network."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.side = nn.Linear(6, 5)
        self.conv2 = nn.Conv2d(6, 6, 2, stride=2)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        b = (torch.rand(1) < 0.5).to(x.dtype)
        x = x + b * F.relu(self.bn(self.conv(x)))
        side = self.side(x.mean((2, 3)))
        x = self.conv2(F.pad(x, (0, 1, 0, 1)))
        x = F.dropout(F.local_response_norm(x, 3, 3 * 1e-4, 0.75, 2.0), 0.25)
        return self.fc(x.mean((2, 3))), side


NAMES = {
    "conv1": "conv1",
    "unit1.conv1": "conv",
    "unit1.bn1": "bn",
    "side.fc1": "side",
    "conv2": "conv2",
    "fc1": "fc",
}


@pytest.fixture
def pair():
    made = cnndsl.compile(TEXT, target="torch", seed=3, dtype="float64").network
    other = ByHand().double()
    for path, name in NAMES.items():
        other.get_submodule(name).load_state_dict(made.get_submodule(path).state_dict())
    return made.train(), other.train()


def test_twenty_steps_are_those_by_hand(pair):
    losses = []
    for network in pair:
        steps = torch.optim.SGD(network.parameters(), 0.05, 0.9, nesterov=True)
        torch.manual_seed(0)
        data = np.random.default_rng(0)
        own = []
        for _ in range(20):
            x = torch.from_numpy(data.standard_normal((4, 3, 8, 8)))
            labels = torch.from_numpy(data.integers(5, size=4))
            found = network(x)
            main, side = found.values() if isinstance(found, dict) else found
            loss = F.cross_entropy(main, labels) + 0.3 * F.cross_entropy(side, labels)
            steps.zero_grad()
            loss.backward()
            steps.step()
            own.append(loss.item())
        losses.append(own)
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-10)


def test_auxiliary_outputs_are_there_in_training_alone(pair):
    made, _ = pair
    x = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    assert set(made(x)) == {"output", "side"}
    assert made.eval()(x).shape == (2, 5)


def test_stochastic_depth_draws_for_the_batch_or_each_sample():
    text = "network n {{ input x [1, 4, 4]\n stochastic_depth(0.5{}) }}"
    x = torch.ones(64, 1, 4, 4)
    torch.manual_seed(0)
    for option, counts in (("", {0, 64}), (", per_sample=true", set(range(1, 64)))):
        network = cnndsl.compile(text.format(option), target="torch").network
        assert torch.equal(network(x), x / 2)
        kept = {int(network.train()(x)[:, 0, 0, 0].sum()) for _ in range(20)}
        assert kept <= counts
        assert len(kept) > 1


def test_the_velocity_is_alexnets():
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    steps = VelocitySgd([weight], 0.1, 0.9, 0.01)
    w, v = 2.0, 0.0
    for rate in (0.1, 0.1, 0.01, 0.01):
        steps.param_groups[0]["lr"] = rate
        steps.zero_grad()
        (weight**2).sum().backward()
        steps.step()
        v = 0.9 * v - 0.01 * rate * w - rate * 2 * w
        w += v
        assert weight.item() == pytest.approx(w, rel=1e-12)


def by_hand(item, w, g, state, r):
    """One step of an optimiser, written out; `state` starts empty."""
    m = getattr(item, "momentum", 0)
    v = state.get("v", 0 * w)
    match item:
        case optimisers.Velocity():
            state["v"] = v = m * v - item.decay * r * w - r * g
            return w + v
        case optimisers.Sgd():
            state["v"] = v = m * v + g + item.decay * w
            return w - r * v
        case optimisers.Nesterov():
            g = g + item.decay * w
            state["v"] = v = m * v + g
            return w - r * (g + m * v)
        case optimisers.RmsProp():
            g = g + item.decay * w
            state["s"] = s = item.memory * state.get("s", 0) + (1 - item.memory) * g**2
            state["v"] = v = m * v + g / (np.sqrt(s) + item.eps)
            return w - r * v
    if isinstance(item, optimisers.AdamW):
        w = w - r * item.decay * w
    else:
        g = g + item.decay * w
    state["n"] = n = state.get("n", 0) + 1
    state["m"] = mean = item.beta1 * state.get("m", 0) + (1 - item.beta1) * g
    state["s"] = s = item.beta2 * state.get("s", 0) + (1 - item.beta2) * g**2
    return w - r * mean / (1 - item.beta1**n) / (np.sqrt(s / (1 - item.beta2**n)) + item.eps)


@pytest.mark.parametrize(
    "item",
    [
        optimisers.Sgd(0.01, momentum=0.8, decay=0.02),
        optimisers.Nesterov(0.01, momentum=0.8, decay=0.02),
        optimisers.Velocity(0.01, momentum=0.8, decay=0.02),
        optimisers.RmsProp(0.01, momentum=0.7, decay=0.02, memory=0.8, eps=0.1),
        optimisers.Adam(0.1, decay=0.02, beta1=0.8, beta2=0.9, eps=0.1),
        optimisers.AdamW(0.1, decay=0.2, beta1=0.8, beta2=0.9, eps=0.1),
    ],
)
def test_steps_of_optimisers_at_falling_rates_are_those_by_hand(item):
    w = np.random.default_rng(0).standard_normal(7)
    weight = nn.Parameter(torch.tensor(w))
    steps, state = optimiser_of(item, [weight]), {}
    recipe = Recipe.of(item, *map(read, ("step(0.5, every=2)", "warmup(1)", "epochs(4)")))
    for step in range(12):
        rate = recipe.rate_at(step, 3)
        steps.param_groups[0]["lr"] = rate
        steps.zero_grad()
        (weight**4).sum().backward()
        steps.step()
        w = by_hand(item, w, 4 * w**3, state, rate)
        np.testing.assert_allclose(weight.detach().numpy(), w, rtol=1e-11)


def read(text):
    return read_item(text, "--with")


def test_every_item_has_its_meaning_in_pytorch():
    made = {*OPTIMISERS, *INITIALISERS, *TERMS, *CHANGES, *CROPS}
    slots = ("optimiser", "initialisers", "loss", "augmentation")
    wanted = {item for item in ITEMS.values() if item.slot in slots and item.name != "pretrained"}
    assert made == wanted


OUTPUTS = """
network outputs {
    input image [1, 4, 4]
    let features = conv(3, 1) -> relu
    auxiliary side(weight=0.3) = features -> fc(3)
    features -> fc(3) -> softmax
}
"""


@pytest.mark.parametrize("loss", [None, CrossEntropy(0.2), MeanSquaredError(), MapCriterion(2.0)])
def test_losses_are_those_by_hand(loss):
    graph = cnndsl.parse(OUTPUTS).graph
    items = [OutputWeight("side", 0.4)] + ([loss] if loss else [])
    objective = objective_of(graph, [], Recipe.of(*items), 3)
    y = np.random.default_rng(1).standard_normal((5, 3))
    p = np.exp(y) / np.exp(y).sum(1, keepdims=True)
    labels = np.array([0, 1, 2, 1, 1])
    hot = np.eye(3)[labels]
    total = 0.0
    for weight, value in ((1.0, p), (0.4, y)):
        match loss:
            case MeanSquaredError():
                term = ((value - hot) ** 2).mean()
            case MapCriterion():
                rest = np.log(np.exp(-2) + np.exp(value).sum(1))
                term = (-value[range(5), labels] + rest).mean()
            case _:
                e = 0.2 if loss else 0
                term = -((1 - e) * hot * np.log(p) + e / 3 * np.log(p)).sum(1).mean()
        total += weight * term
    found = objective({"output": torch.tensor(p), "side": torch.tensor(y)}, torch.tensor(labels))
    assert found.item() == pytest.approx(total, rel=1e-12)


def test_the_criterion_of_distances_is_that_of_the_paper():
    y = np.array([[0.5, 2.0, 3.0], [4.0, 1.0, 0.25]])
    wanted = [
        y[i, d] + math.log(math.exp(-1) + sum(math.exp(-v) for v in y[i]))
        for i, d in enumerate((0, 1))
    ]
    graph = cnndsl.parse("network n { input x [2, 1, 1]\nrbf(3) }").graph
    objective = objective_of(graph, ["output"], Recipe(), 3)
    found = objective({"output": torch.tensor(y)}, torch.tensor([0, 1]))
    assert found.item() == pytest.approx(np.mean(wanted), rel=1e-12)
    assert objective.scores("output", torch.tensor(y)).argmax(1).tolist() == [0, 2]


def test_augmentation_changes_images_as_said():
    x = torch.arange(2 * 3 * 6 * 6, dtype=torch.float64).reshape(2, 3, 6, 6)
    torch.manual_seed(0)
    assert torch.equal(augmented(x, Recipe.of(read("flip(1)")), None), x.flip(3))
    moved = augmented(x, Recipe.of(read("shift(2)")), None)
    padded = F.pad(x, (2, 2, 2, 2))
    for image, whole in zip(moved, padded, strict=True):
        windows = whole.unfold(1, 6, 1).unfold(2, 6, 1).permute(1, 2, 0, 3, 4)
        assert (windows == image).flatten(2).all(2).any()
    colours = torch.eye(3, dtype=torch.float32)
    noise = augmented(x.float(), Recipe.of(read("pca_colour(100)")), colours) - x
    assert (noise - noise[:, :, :1, :1]).abs().max() < 1e-3
    assert 20 < noise[:, :, 0, 0].std() < 300


@pytest.fixture
def photos(tmp_path):
    """Twelve photos of two classes, whose pixels tell where they are."""
    ramp = np.stack([*np.meshgrid(np.arange(48), np.arange(40)), np.zeros((40, 48))], -1)
    for name, level in (("a", 60), ("b", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            pixels = ramp.astype(np.uint8) + np.array([0, 0, level + number], np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_photos_are_cut_out_anywhere(photos):
    kind = cnndsl.parse("network n { input x [3, 32, 32]\nfc(2) }").inputs["x"]
    train = read_data(str(photos), kind, Photo(range=255.0)).train
    everything = np.arange(len(train))
    x, _ = train.batch(everything, RandomCrop((40, 40)), np.random.default_rng(0))
    assert x.shape == (10, 3, 32, 32)
    assert (np.diff(x[:, 0], axis=2) == 1).all()
    assert (np.diff(x[:, 1], axis=1) == 1).all()
    corners = {(int(image[0, 0, 0]), int(image[1, 0, 0])) for image in x}
    assert all(0 <= left <= 16 and 0 <= top <= 8 for left, top in corners)
    assert len(corners) > 5
    x, _ = train.batch(everything, RandomResizedCrop((0.3, 0.9)), np.random.default_rng(0))
    shares = [float(np.ptp(image[0]) * np.ptp(image[1])) / (40 * 48) for image in x]
    assert 0.2 < min(shares) < 0.5 < max(shares) < 0.95


def test_a_text_with_all_of_a_recipe_is_obeyed(photos, tmp_path):
    text = tmp_path / "n.cnn"
    text.write_text(
        "network n(classes=2) {\n    input x [3, 32, 32] photo(range=255, std=64)\n"
        "    conv(4, 3, stride=2) -> bn -> relu -> global_avgpool -> head: fc(classes)\n}\n"
        "recipe n {\n    cross_entropy(0.1)\n    rmsprop(0.01, eps=1)\n    cosine(0.1)\n"
        "    warmup(1)\n    he(of=conv, fan=fan_out)\n    bias(0.25)\n"
        "    random_crop([34, 40])\n    flip\n    pca_colour\n    batch(4)\n    steps(7)\n"
        "    clip(2)\n    average(0.5)\n    precision(bf16)\n}\n"
    )
    more = ("--data", photos, "--rate", 0.02, "--json", "--threads", 1)
    told = json.loads(call("train", text, "-o", tmp_path / "n.safetensors", *more).stdout)
    said = {entry["item"]: entry["said"] for entry in told["recipe"]}
    assert said["rmsprop"] == "n.cnn:7, --rate"
    assert said["batch"] == "n.cnn:15"
    assert said["random_crop"] == "n.cnn:12"
    rates = [epoch["rate"] for epoch in told["epochs"]]
    assert len(rates) == 3
    assert 0.02 > rates[0] > rates[1] > rates[2] > 0.002


def test_the_command_line_comes_before_the_text(tmp_path):
    path = tmp_path / "a.safetensors"
    found = call(*arguments(path, "--epochs", 1, "--with", "random_crop(32)"))
    assert "random_crop cuts out of photos" in found.output
    for wrong, said in (
        (("--optimiser", "cosine"), "cosine is no optimiser"),
        (("--factor", "0.1"), "cosine has no argument 'factor'"),
        (("--momentum", "2"), "adamw has no argument"),
        (("--rate", "-1"), "rate takes a number over 0"),
        (("--without", "flip"), "the recipe has no 'flip'"),
        (("--with", 'gaussian(at="D7")'), "no layer with weights has the path 'D7'"),
        (("--batch", "0"), "samples takes a whole number from 1"),
        (("--recipe", "unet"), "unet"),
    ):
        assert said in call(*arguments(path, *wrong)).output


def test_training_starts_from_the_first_weights_of_the_recipe(tmp_path):
    recipe = Recipe.of(He(fan="fan_out"), Bias(0.5), Gaussian(0.3, at=("F6",)))
    network = cnndsl.parse("lenet5")
    data = read_data("digits", network.inputs["image"])
    with joined("cpu") as processes:
        training = TorchTraining(network, data, recipe, Plan(tmp_path / "a.safetensors"), processes)
    weights = training.network.state_dict()
    wanted = initial_weights(network.graph, recipe, 0)
    assert len(wanted) == 10
    for name, array in wanted.items():
        assert np.array_equal(weights[name].numpy(), array)


def call(*arguments):
    found = CliRunner().invoke(commands, [str(a) for a in arguments], standalone_mode=False)
    if found.exception:
        raise found.exception
    return found


def arguments(path, *more):
    return ("train", "lenet5", "--data", "digits", "-o", path, "--threads", 1, *more)


def test_lenet5_learns_the_digits(tmp_path):
    path = tmp_path / "digits.safetensors"
    call(*arguments(path, "--epochs", 8, "--rate", 0.003))
    data = read_data("digits", cnndsl.parse("lenet5").inputs["image"])
    images, labels = data.held_out.batch(np.arange(len(data.held_out)))
    module = cnndsl.compile("lenet5", target="reference", weights=path)
    accuracy = (module(images).argmax(1) == labels).mean()
    assert accuracy >= 0.97
    for target in ("cpu", "onnx"):
        report = cnndsl.evaluate("lenet5", "digits", weights=path, target=target)
        assert (report.images, report.top1) == (len(labels), accuracy)
    assert len(path.with_suffix(".jsonl").read_text().splitlines()) == 8


def test_training_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    whole, parts = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    call(*arguments(whole, "--epochs", 3))
    from cnndsl.train import engine

    epoch = engine.TorchTraining._epoch

    def stopped(self, number):
        if number == 1:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(engine.TorchTraining, "_epoch", stopped)
    with pytest.raises(BaseException):  # noqa: B017, PT011
        call(*arguments(parts, "--epochs", 3))
    monkeypatch.undo()
    call(*arguments(parts, "--epochs", 3, "--resume"))
    assert parts.read_bytes() == whole.read_bytes()
    assert "another recipe" in call(*arguments(parts, "--epochs", 4, "--resume")).output
    checkpoint = parts.with_suffix(".checkpoint")
    assert len(read_checkpoint(checkpoint, {})["epochs"]) == 3
    content = bytearray(checkpoint.read_bytes())
    with zipfile.ZipFile(checkpoint) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    content[largest.header_offset + largest.file_size // 2] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(cnndsl.CnnError, match=r"E0603.*checksum"):
        read_checkpoint(checkpoint, {})
    checkpoint.write_bytes(content[:-100])
    with pytest.raises(cnndsl.CnnError, match="E0603"):
        read_checkpoint(checkpoint, {})


@pytest.mark.parametrize("name", ["velocity", "rmsprop", "adamw"])
def test_zeros_stay_as_by_pytorchs_pruning(name, tmp_path):
    """Twenty steps beside torch.nn.utils.prune, with momentum, decay and clipped gradients."""
    net = cnndsl.parse("lenet5")
    start = bind(net.graph.parameters(), None, seed=3).values
    pruned = tmp_path / "pruned.safetensors"
    save_safetensors(pruned, prune(net.graph, start, [("F*", 0.8), ("*", 0.4)]))
    data = read_data("digits", net.inputs["image"])
    recipe = Recipe.of(read(f"{name}(0.01, decay=0.01)"), read("clip(0.5)"))
    plan = Plan(tmp_path / "a.safetensors", weights=pruned, keep_zeros=True)
    with joined("cpu") as processes:
        training = TorchTraining(net, data, recipe, plan, processes)
    training.network.double()
    other = (
        cnndsl.compile(net, target="torch", weights=pruned, logits=True).network.double().train()
    )
    for module in other.modules():
        if getattr(module, "weight", None) is not None:
            by_pytorch.custom_from_mask(module, "weight", module.weight != 0)
    steps = optimiser_of(recipe.optimiser, list(other.parameters()))
    training.begin((0, 0, 0))
    for number in range(20):
        x, labels = data.train.batch(np.arange(8 * number, 8 * number + 8))
        x = x.astype(np.float64)
        outputs = {training.output: other(torch.from_numpy(x))}
        loss = training.loss(outputs, torch.from_numpy(labels))
        steps.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(other.parameters(), 0.5)
        steps.step()
        assert training.step(x, labels, 0.01) == pytest.approx(loss.item(), rel=1e-9)
    weights = load_weights(pruned)
    for path, array in training.weights().items():
        if path.endswith("weight"):
            np.testing.assert_array_equal(array == 0, weights[path] == 0)


def test_a_loss_that_is_no_number_is_an_error(tmp_path):
    more = ("--optimiser", "sgd", "--rate", "1e30", "--epochs", 2, "--loss", "mse")
    assert "the loss is" in call(*arguments(tmp_path / "c.safetensors", *more)).output


@pytest.mark.parametrize("item", ["velocity(1e20, decay=1e38)", "adam(1e29, beta1=0.9999999999)"])
def test_steps_beyond_float32_are_an_error(item, tmp_path):
    more = ("--with", item, "--schedule", "constant", "--epochs", 1)
    assert "E0763" in call(*arguments(tmp_path / "c.safetensors", *more)).output
