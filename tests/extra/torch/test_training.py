"""What acts in training, and the steps of training, against PyTorch by hand in float64."""

import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn import functional as F  # noqa: N812

import cnndsl
from cnndsl.cli.main import commands
from cnndsl.train.checkpoint import read_checkpoint
from cnndsl.train.data import read_data
from cnndsl.train.losses import map_criterion
from cnndsl.train.recipe import Recipe
from cnndsl.train.steps import VelocitySgd, optimiser_of, rate_at

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


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "nesterov", "velocity", "rmsprop"])
def test_every_optimiser_descends(name):
    weight = nn.Parameter(torch.tensor([1.0]))
    steps = optimiser_of(Recipe(optimiser=name, rate=0.01), [weight])
    for _ in range(50):
        steps.zero_grad()
        (weight**2).sum().backward()
        steps.step()
    assert abs(weight.item()) < 0.9


def test_schedules():
    assert rate_at(Recipe(schedule="step", rate=1.0, every=10), 25.0) == pytest.approx(0.01)
    assert rate_at(Recipe(schedule="exponential", rate=1.0, factor=0.5), 2.0) == 0.25
    assert rate_at(Recipe(rate=1.0, epochs=20), 10.0) == pytest.approx(0.5)
    assert rate_at(Recipe(rate=1.0, warmup=4.0), 1.0) == 0.25


def test_the_map_criterion_is_that_of_the_paper():
    y = np.array([[0.5, 2.0, 3.0], [4.0, 1.0, 0.25]])
    wanted = [
        y[i, d] + math.log(math.exp(-1) + sum(math.exp(-v) for v in y[i]))
        for i, d in enumerate((0, 1))
    ]
    found = map_criterion(torch.from_numpy(y), torch.tensor([0, 1]))
    assert found.item() == pytest.approx(np.mean(wanted), rel=1e-12)


def call(*arguments):
    found = CliRunner().invoke(commands, [str(a) for a in arguments], standalone_mode=False)
    if found.exception:
        raise found.exception
    return found


def arguments(path, *more):
    return ("train", "lenet5", "--data", "digits", "-o", path, "--threads", 1, *more)


def test_lenet5_learns_the_digits(tmp_path):
    path = tmp_path / "digits.safetensors"
    call(*arguments(path, "--epochs", 5))
    data = read_data("digits", cnndsl.parse("lenet5").inputs["image"])
    images, labels = data.held_out.batch(np.arange(len(data.held_out)))
    module = cnndsl.compile("lenet5", target="reference", weights=path)
    accuracy = (module(images).argmax(1) == labels).mean()
    assert accuracy >= 0.97
    for target in ("cpu", "onnx"):
        report = cnndsl.evaluate("lenet5", "digits", weights=path, target=target)
        assert (report.images, report.top1) == (len(labels), accuracy)
    assert len(path.with_suffix(".jsonl").read_text().splitlines()) == 5


def test_training_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    whole, parts = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    call(*arguments(whole, "--epochs", 3))
    from cnndsl.train import engine

    epoch = engine._Training._epoch

    def stopped(self, number):
        if number == 1:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(engine._Training, "_epoch", stopped)
    with pytest.raises(BaseException):  # noqa: B017, PT011
        call(*arguments(parts, "--epochs", 3))
    monkeypatch.undo()
    call(*arguments(parts, "--epochs", 3, "--resume"))
    assert parts.read_bytes() == whole.read_bytes()
    assert "another recipe" in call(*arguments(parts, "--epochs", 4, "--resume")).output
    assert len(read_checkpoint(parts.with_suffix(".checkpoint"), {})["epochs"]) == 3


def test_a_loss_that_is_no_number_is_an_error(tmp_path):
    more = ("--optimiser", "sgd", "--rate", "1e30", "--epochs", 2, "--loss", "mse")
    assert "the loss is" in call(*arguments(tmp_path / "c.safetensors", *more)).output
