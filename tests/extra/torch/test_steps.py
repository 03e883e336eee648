"""Twenty steps of published networks against modules written by hand, in float64."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

import cnndsl
from cnndsl.backends.numpy import run_graph

STEPS = 20


class LeNet5(nn.Module):
    """LeCun et al. (1998), with averages between and scores at the end."""

    def __init__(self):
        super().__init__()
        self.c1, self.c3, self.c5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.f6, self.output = nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.c1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.c3(x)), 2)
        x = torch.tanh(self.c5(x)).flatten(1)
        return (self.output(torch.tanh(self.f6(x))),)


class Unit(nn.Module):
    """A unit of a residual network whose branch survives a mini-batch with a probability."""

    def __init__(self, channels, width, stride, survival):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.survival = survival

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if torch.rand(1).item() >= self.survival:
            y = y * 0
        stride = self.conv1.stride[0]
        more = y.shape[1] - x.shape[1]
        return F.relu(y + F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, more)))


class StochasticDepth(nn.Module):
    """Huang et al. (2016): two units in each stage, and the last survives with 0.5."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths, strides = [16, 16, 16, 32, 32, 64, 64], [1, 1, 2, 1, 2, 1]
        self.units = nn.Sequential(*(
            Unit(widths[i], widths[i + 1], strides[i], 1 - 0.5 * (i + 1) / 6) for i in range(6)
        ))  # fmt: skip
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return (self.fc(self.units(F.relu(self.bn(self.conv(x)))).mean((2, 3))),)


class Inception(nn.Module):
    """Table 1 of Szegedy et al. (2014)."""

    def __init__(self, channels, one, reduce3, three, reduce5, five, projection):
        super().__init__()
        self.one = nn.Conv2d(channels, one, 1)
        self.reduce3, self.three = (
            nn.Conv2d(channels, reduce3, 1),
            nn.Conv2d(reduce3, three, 3, 1, 1),
        )
        self.reduce5, self.five = nn.Conv2d(channels, reduce5, 1), nn.Conv2d(reduce5, five, 5, 1, 2)
        self.projection = nn.Conv2d(channels, projection, 1)

    def forward(self, x):
        three = F.relu(self.three(F.relu(self.reduce3(x))))
        five = F.relu(self.five(F.relu(self.reduce5(x))))
        pooled = F.relu(self.projection(F.max_pool2d(x, 3, 1, 1)))
        return torch.cat((F.relu(self.one(x)), three, five, pooled), 1)


class Head(nn.Module):
    """An auxiliary classifier of GoogLeNet; here on a map of 5x5."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 128, 1)
        self.fc1, self.fc2 = nn.Linear(128, 1024), nn.Linear(1024, 10)

    def forward(self, x):
        x = F.relu(self.conv(F.avg_pool2d(x, 5, 3))).flatten(1)
        return self.fc2(F.dropout(F.relu(self.fc1(x)), 0.7))


class GoogLeNet(nn.Module):
    """With both heads."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.conv2, self.conv3 = nn.Conv2d(64, 64, 1), nn.Conv2d(64, 192, 3, 1, 1)
        self.a3 = Inception(192, 64, 96, 128, 16, 32, 32)
        self.b3 = Inception(256, 128, 128, 192, 32, 96, 64)
        self.a4 = Inception(480, 192, 96, 208, 16, 48, 64)
        self.head_a = Head(512)
        self.b4 = Inception(512, 160, 112, 224, 24, 64, 64)
        self.c4 = Inception(512, 128, 128, 256, 24, 64, 64)
        self.d4 = Inception(512, 112, 144, 288, 32, 64, 64)
        self.head_d = Head(528)
        self.e4 = Inception(528, 256, 160, 320, 32, 128, 128)
        self.a5 = Inception(832, 256, 160, 320, 32, 128, 128)
        self.b5 = Inception(832, 384, 192, 384, 48, 128, 128)
        self.fc = nn.Linear(1024, 10)

    def forward(self, x):
        def normalised(y: Tensor) -> Tensor:
            return F.local_response_norm(y, 5, alpha=1e-4, beta=0.75, k=1.0)

        def pooled(y: Tensor) -> Tensor:
            return F.max_pool2d(y, 3, 2, ceil_mode=True)

        x = normalised(pooled(F.relu(self.conv1(x))))
        x = pooled(normalised(F.relu(self.conv3(F.relu(self.conv2(x))))))
        x = self.a4(pooled(self.b3(self.a3(x))))
        first = self.head_a(x)
        x = self.d4(self.c4(self.b4(x)))
        second = self.head_d(x)
        x = self.b5(self.a5(pooled(self.e4(x))))
        return self.fc(F.dropout(x.mean((2, 3)), 0.4)), first, second


class DenseLayer(nn.Module):
    """Pleiss et al. (2017): what the two convolutions read is computed again on the way back."""

    def __init__(self, channels, growth):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)

    def forward(self, x):
        y = checkpoint(lambda z: self.conv1(F.relu(self.bn1(z))), x, use_reentrant=False)
        y = checkpoint(lambda z: self.conv2(F.relu(self.bn2(z))), y, use_reentrant=False)
        return torch.cat((x, y), 1)


class DenseNet(nn.Module):
    """DenseNet-BC of Huang et al. (2017) with three blocks of `count` layers."""

    def __init__(self, count=6, growth=12):
        super().__init__()
        channels = 2 * growth
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 1, 1, bias=False)]
        for block in range(3):
            if block:
                layers += [nn.BatchNorm2d(channels), nn.ReLU()]
                layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
                channels //= 2
            layers += [DenseLayer(channels + i * growth, growth) for i in range(count)]
            channels += count * growth
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        return (self.fc(self.layers(x).mean((2, 3))),)


@dataclass(frozen=True)
class Pair:
    """A network of the zoo, the same by hand, and the weights of its losses."""

    spec: str
    by_hand: Callable[[], nn.Module]
    image: tuple[int, int, int]
    settings: dict[str, Any] = field(default_factory=dict)
    weights: tuple[float, ...] = (1.0,)

    def network(self) -> cnndsl.Network:
        return cnndsl.parse(self.spec, settings=self.settings, input_shapes={"image": self.image})

    def batches(self, size: int = 2) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        random = np.random.default_rng(0)
        for _ in range(STEPS):
            yield random.standard_normal((size, *self.image)), random.integers(10, size=size)

    def by_hand_from(self, made: nn.Module) -> nn.Module:
        """The module by hand with the weights of the other; both have the order of the text."""
        own = self.by_hand().double()
        ours, theirs = own.state_dict(), made.state_dict()
        assert [a.shape for a in ours.values()] == [a.shape for a in theirs.values()]
        own.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
        return own.train()

    def losses(self, network: nn.Module) -> list[float]:
        """What stochastic gradient descent finds on the way."""
        steps = torch.optim.SGD(network.parameters(), 0.01, 0.9, weight_decay=1e-4)
        torch.manual_seed(0)
        found = []
        for x, labels in self.batches():
            outputs = network(torch.from_numpy(x))
            if isinstance(outputs, Tensor):
                outputs = (outputs,)
            elif isinstance(outputs, dict):
                outputs = outputs.values()
            terms = [F.cross_entropy(y, torch.from_numpy(labels)) for y in outputs]
            loss = sum(w * term for w, term in zip(self.weights, terms, strict=True))
            steps.zero_grad()
            loss.backward()
            steps.step()
            found.append(loss.item())
        return found


PAIRS = {
    "lenet5": Pair("lenet5", LeNet5, (1, 32, 32)),
    "stochastic_depth": Pair(
        "resnet56_stochastic_depth", StochasticDepth, (3, 32, 32), {"count": 2}
    ),
    "googlenet": Pair(
        "googlenet_aux", GoogLeNet, (3, 80, 80), {"classes": 10}, weights=(1.0, 0.3, 0.3)
    ),
    "densenet_bc": Pair("densenet_bc_cifar_L40_k12", DenseNet, (3, 16, 16)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_twenty_steps_are_those_by_hand(pair):
    made = cnndsl.compile(pair.network(), "torch", seed=1, dtype="float64", logits=True).network
    by_hand = pair.by_hand_from(made)
    found, wanted = pair.losses(made.train()), pair.losses(by_hand)
    assert len(set(wanted)) == STEPS
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("recompute", ["auto", 1_500_000])
def test_steps_that_compute_again_are_those_by_hand(recompute):
    """The gradient graph of a DenseNet-BC, in numpy."""
    pair = PAIRS["densenet_bc"]
    net = pair.network()
    made = cnndsl.compile(net, "torch", seed=1, dtype="float64").network
    wanted = pair.losses(pair.by_hand_from(made))
    step = cnndsl.gradients(net, recompute=recompute, batch=2).graph
    assert len(step) > len(cnndsl.gradients(net).graph)
    values = {n: a.numpy() for n, a in made.state_dict().items() if n in net.graph.parameters()}
    velocity = {n: np.zeros_like(a) for n, a in values.items()}
    found = []
    for x, labels in pair.batches():
        results = run_graph(step, values, {"image": x, "target": np.eye(10)[labels]})
        found.append(results["loss"].item())
        for name in values:
            if f"{name}.updated" in results:
                values[name] = results[f"{name}.updated"]
                continue
            gradient = results[f"{name}.gradient"] + 1e-4 * values[name]
            velocity[name] = 0.9 * velocity[name] + gradient
            values[name] = values[name] - 0.01 * velocity[name]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)
